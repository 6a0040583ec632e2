package alert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
)

// maxRemoteAnswer bounds what the server at alerts.query_url may answer to one rule, in bytes.
const maxRemoteAnswer = 16 << 20

// remoteQuery makes the rules' queries at a Prometheus-compatible server.
func (c *Config) remoteQuery(m *metrics) (rules.QueryFunc, error) {
	auth := commoncfg.HTTPClientConfig{FollowRedirects: false, EnableHTTP2: true}
	if c.QueryTokenFile != "" {
		auth.Authorization = &commoncfg.Authorization{Type: "Bearer", CredentialsFile: c.QueryTokenFile}
	}
	rt, err := commoncfg.NewRoundTripperFromConfig(auth, "alerts.query_url")
	if err != nil {
		return nil, err
	}
	client, err := api.NewClient(api.Config{Address: c.QueryURL, RoundTripper: bounded{rt}})
	if err != nil {
		return nil, errors.New("alerts.query_url: not a URL") // the text may hold a password
	}
	server := promv1.NewAPI(client)
	return func(ctx context.Context, query string, at time.Time) (promql.Vector, error) {
		ctx, cancel := context.WithTimeout(ctx, c.QueryTimeout)
		defer cancel()
		value, _, _, err := server.Query(ctx, query, at)
		if err != nil {
			m.queries.WithLabelValues("error").Inc()
			return nil, fmt.Errorf("asking the server at alerts.query_url: %w", err)
		}
		m.queries.WithLabelValues("success").Inc()
		return vectorOf(value, at)
	}, nil
}

// eitherQuery asks here for what the rules record and there for everything else.
func (s *ruleSource) eitherQuery(here, there rules.QueryFunc) rules.QueryFunc {
	return func(ctx context.Context, query string, at time.Time) (promql.Vector, error) {
		own, form, _ := s.set.Load().split(query)
		if own {
			return here(ctx, form, at)
		}
		return there(ctx, form, at)
	}
}

// vectorOf is an answer in the engine's form. A native histogram comes without its schema, so it
// cannot be stored again as what it was.
func vectorOf(value model.Value, at time.Time) (promql.Vector, error) {
	switch v := value.(type) {
	case *model.Scalar:
		return promql.Vector{{T: at.UnixMilli(), F: float64(v.Value), Metric: labels.EmptyLabels()}}, nil
	case model.Vector:
		out := make(promql.Vector, len(v))
		for i, s := range v {
			if s.Histogram != nil {
				return nil, errors.New("the result of the rule is a native histogram, which alerts.query_url cannot take")
			}
			b := labels.NewScratchBuilder(len(s.Metric))
			for name, value := range s.Metric {
				b.Add(string(name), string(value))
			}
			b.Sort()
			out[i] = promql.Sample{T: at.UnixMilli(), F: float64(s.Value), Metric: b.Labels()}
		}
		return out, nil
	default:
		return nil, errors.New("the result of the rule is not a vector or scalar")
	}
}

// bounded cuts answers that are too large.
type bounded struct{ http.RoundTripper }

// RoundTrip asks and bounds the answer.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		res.Body = &boundedBody{res.Body, maxRemoteAnswer}
	}
	return res, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the answer has more than %d bytes", maxRemoteAnswer)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
