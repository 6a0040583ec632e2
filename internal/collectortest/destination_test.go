package collectortest

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/proctest"
	"github.com/tidemark-obs/tidemark/internal/telemetry/otlp/otlptest"
	"github.com/tidemark-obs/tidemark/internal/tooltest"
)

// A destination's events pass through a real collector as log records, each under its id, though
// the collector comes up after they were accepted.
func TestADestinationReachesACollector(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a collector and a service; not with -short")
	}
	collector, service := tooltest.Find(t, "otelcol"), filepath.Join(t.TempDir(), "tidemark")
	if err := proctest.Build(service); err != nil {
		t.Fatal(err)
	}
	sink := otlptest.Start(t)
	_, writeURL := startStore(t)
	address, logs := proctest.FreeAddress(t), proctest.FreeAddress(t)
	tidemark := startService(t, service, address)
	body := fmt.Sprintf(`{"name": "collector", "kind": "otlp", "url": "http://%s/v1/logs", "allow_private_addresses": true}`, logs)
	ask(t, http.MethodPost, address, "/api/analytics/destinations", body, http.StatusCreated)
	for b := range batches {
		var events []string
		for i := range batchSize {
			events = append(events, fmt.Sprintf(`{"event":"signup","event_id":"%d-%d","properties":{"plan":"pro"}}`, b, i))
		}
		ask(t, http.MethodPost, address, "/api/analytics/batch-track", "["+strings.Join(events, ",")+"]", http.StatusOK)
	}
	col := startCollector(t, collector,
		"REMOTE_WRITE_URL="+writeURL, "OTLP_URL="+sink.Endpoint("http/protobuf"), "OTLP_HEADERS={x-tenant: blue}",
		"TIDEMARK_ADDRESS="+address, "SCRAPE_INTERVAL=500ms", "OTLP_GRPC_LISTEN="+proctest.FreeAddress(t), "OTLP_HTTP_LISTEN="+logs,
	)
	arrived := func() map[string]bool {
		ids := map[string]bool{}
		for _, e := range sink.Events() {
			for _, a := range e.GetAttributes() {
				if a.GetKey() == "log.record.uid" && e.GetEventName() == "signup" {
					ids[a.GetValue().GetStringValue()] = true
				}
			}
		}
		return ids
	}
	until(t, "every event behind the collector", func() bool { return len(arrived()) == batches*batchSize })
	stop(t, tidemark)
	stop(t, col)
}
