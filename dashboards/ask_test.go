package dashboards

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// asker asks a Prometheus, or what speaks like one, what Grafana would.
type asker struct {
	base   string
	key    string // of the service; empty for Prometheus
	client *http.Client
}

// get decodes the data of an answer that must be a success.
func (a asker) get(path string, form url.Values, into any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path+"?"+form.Encode(), nil)
	if err != nil {
		return err
	}
	if a.key != "" {
		req.Header.Set("Authorization", "Bearer "+a.key)
	}
	res, err := a.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
		Warnings      []string
		Infos         []string
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" || len(answer.Warnings)+len(answer.Infos) > 0 {
		return fmt.Errorf("%s %s, warnings %q, infos %q", answer.Status, answer.Error, answer.Warnings, answer.Infos)
	}
	return json.Unmarshal(answer.Data, into)
}

// series is one of the results of a query; a value is [time, "number"].
type series struct {
	Metric     map[string]string
	Value      [2]any
	Values     [][2]any
	Histogram  []any
	Histograms []any
}

// points is how many of its values are numbers or histograms.
func (s series) points() int {
	n := len(s.Histograms)
	if len(s.Histogram) > 0 {
		n++
	}
	for _, v := range append(s.Values, s.Value) {
		text, ok := v[1].(string)
		if f, err := strconv.ParseFloat(text, 64); ok && err == nil && !math.IsNaN(f) {
			n++
		}
	}
	return n
}

// data counts the points that a panel's query gets: over the last minute, or now.
func (a asker) data(expr string, instant bool) (int, error) {
	now := time.Now()
	path, form := "/api/v1/query", url.Values{"query": {expr}, "time": {unix(now)}}
	if !instant {
		path = "/api/v1/query_range"
		form = url.Values{"query": {expr}, "start": {unix(now.Add(-time.Minute))}, "end": {unix(now)}, "step": {"1"}}
	}
	var answer struct{ Result []series }
	if err := a.get(path, form, &answer); err != nil {
		return 0, err
	}
	n := 0
	for _, s := range answer.Result {
		n += s.points()
	}
	return n, nil
}

// exemplars counts the traces that a panel's query leads to.
func (a asker) exemplars(expr string) (int, error) {
	now := time.Now()
	var answer []struct {
		Exemplars []struct{ Labels map[string]string }
	}
	form := url.Values{"query": {expr}, "start": {unix(now.Add(-time.Minute))}, "end": {unix(now)}}
	if err := a.get("/api/v1/query_exemplars", form, &answer); err != nil {
		return 0, err
	}
	n := 0
	for _, s := range answer {
		for _, e := range s.Exemplars {
			if len(e.Labels["trace_id"]) == 32 {
				n++
			}
		}
	}
	return n, nil
}

// choices are the values that a variable offers.
func (a asker) choices(selector, label string) ([]string, error) {
	var values []string
	err := a.get("/api/v1/label/"+label+"/values", url.Values{"match[]": {selector}}, &values)
	return values, err
}

func unix(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
