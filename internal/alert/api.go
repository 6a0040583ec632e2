package alert

import (
	"context"
	"net/http"
	"runtime"
	"time"

	"github.com/grafana/regexp"
	"github.com/prometheus/common/route"
	promcfg "github.com/prometheus/prometheus/config"
	apiv1 "github.com/prometheus/prometheus/web/api/v1"
)

// apiBase is where the Prometheus HTTP API lives.
const apiBase = "/api/v1"

// newAPI is Prometheus' own HTTP API over the engine, cut down to what reads. Everything its
// constructor takes for administration, remote write and service discovery stays off.
func newAPI(g *engine, version string) http.Handler {
	var (
		lookback  time.Duration // 0 = the engine's default
		noFlags   map[string]string
		nothing   = func(context.Context) apiv1.AlertmanagerRetriever { return nil }
		buildInfo = &apiv1.PrometheusVersion{Version: version, GoVersion: runtime.Version()}
	)
	api := apiv1.NewAPI(
		g.queryEngine(g.cfg.APITimeout), g.db, nil, nil, g.db,
		func(context.Context) apiv1.ScrapePoolsRetriever { return g.scraper },
		func(context.Context) apiv1.TargetRetriever { return g.scraper },
		nothing, func() promcfg.Config { return promcfg.DefaultConfig }, noFlags,
		apiv1.GlobalURLOptions{ListenAddress: g.cfg.Instance, Host: g.cfg.Instance, Scheme: "http"},
		func(h http.HandlerFunc) http.HandlerFunc { return h },
		nil, "", false, false, 0, g.log,
		func(context.Context) apiv1.RulesRetriever { return g.rules },
		g.cfg.APIMaxSamples, 1, 1<<20, false,
		regexp.MustCompile(`^\b$`), // no browser of another origin may read
		nil, buildInfo, nil, nil, nil, nil, nil,
		false, nil, false, false, false, false, lookback, false, false,
		nil, nil, apiv1.OpenAPIOptions{IncludePaths: []string{"none"}}, nil, // its own document is not served and costs time
	)
	router := route.New().WithPrefix(apiBase)
	api.Register(router)
	return readOnly(router)
}

// readOnly lets through the endpoints that read.
func readOnly(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"query", "query_range", "query_exemplars", "series", "labels"} {
		mux.Handle("GET "+apiBase+"/"+path, next)
		mux.Handle("POST "+apiBase+"/"+path, next)
	}
	for _, path := range []string{"label/{name}/values", "metadata", "rules", "alerts", "targets", "status/buildinfo"} {
		mux.Handle("GET "+apiBase+"/"+path, next)
	}
	return mux
}
