package telemetry

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrapesAtOnce bounds the memory that scrapes hold; one more is answered with 503.
const scrapesAtOnce = 8

// MetricsHandler answers a scrape in the form that was asked for: text, OpenMetrics (the text
// with exemplars) or protobuf (with native histograms).
func (t *Telemetry) MetricsHandler() http.Handler { return t.handler }

func newMetricsHandler(registry *prometheus.Registry, logger *slog.Logger) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true, MaxRequestsInFlight: scrapesAtOnce,
		Registry: registry, // for the count of scrapes that failed
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelError),
		// A metric that cannot be read must not hide all others.
		ErrorHandling: promhttp.ContinueOnError,
	})
}
