package destination

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// BenchmarkDelivery is from the journal to a local HTTP receiver that reads everything.
func BenchmarkDelivery(b *testing.B) {
	var got atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			b.Error(err)
		}
		got.Add(int64(bytes.Count(body, []byte(`"specversion"`))))
	}))
	defer s.Close()
	w := newWorld(b, 0)
	w.put(Settings{Name: "a", Kind: Webhook, URL: s.URL, Enabled: new(bool), Batch: Batch{Events: 1000, LingerMS: 20}}, Secrets{Secret: signingSecret})
	w.send(100)
	if _, err := w.pipeline.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	_, err := w.manager.SetEnabled(b.Context(), "a", true)
	w.ok(err)
	until(b, "the beginning", func() bool { return got.Load() >= 100 })
	began := got.Load()
	b.ResetTimer()
	for b.Loop() {
		const n = 100_000
		w.sendLarge(n)
		began += n
		until(b, "all events", func() bool { return got.Load() >= began })
	}
	b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "events/s")
}
