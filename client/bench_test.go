package client

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"
)

// typical are the properties of an ordinary event.
func typical() map[string]any {
	return map[string]any{"plan": "pro", "amount": 129.95, "currency": "EUR", "items": 3, "first": true}
}

// stuck is a client whose service does not answer and whose buffer has room for everything.
func stuck(tb testing.TB, change func(*Config)) *Client {
	f := &fake{hold: make(chan struct{})}
	cfg := Config{URL: "http://tidemark.invalid", HTTPClient: &http.Client{Transport: f}, Timeout: time.Hour,
		MaxBuffered: 2 << 30, SpoolBytes: 8 << 30, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = c.Close(ctx)
	})
	return c
}

// BenchmarkTrack is what Track costs while the buffer has room: on one goroutine and on all cores;
// in memory that was never touched before, in memory that is used again, as when the service
// keeps up, and in a spool.
func BenchmarkTrack(b *testing.B) {
	for _, where := range []struct {
		name   string
		change func(*Config)
		track  func(*Client) func()
	}{
		{"fresh", nil, tracker},
		{"used", nil, drained},
		{"spool", func(c *Config) { c.SpoolDir = b.TempDir() }, tracker},
	} {
		b.Run(where.name+"/one", func(b *testing.B) {
			c := stuck(b, where.change)
			track := where.track(c)
			b.ReportAllocs()
			for b.Loop() {
				track()
			}
		})
		b.Run(where.name+"/all", func(b *testing.B) {
			c := stuck(b, where.change)
			track := where.track(c)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					track()
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func tracker(c *Client) func() {
	ctx, p := WithUser(context.Background(), "user-184467"), typical()
	return func() { c.Track(ctx, "checkout_completed", p) }
}

// drained empties the buffer each time it has a mebibyte, at the cost of those who track.
func drained(c *Client) func() {
	track, m := tracker(c), c.queue.(*memory)
	return func() {
		track()
		c.mu.Lock()
		for m.bytes > 1<<20 {
			for range 100 {
				m.dropOldest()
			}
		}
		c.mu.Unlock()
	}
}

// TestTrackIsFrugal bounds what Track allocates.
func TestTrackIsFrugal(t *testing.T) {
	c, ctx, p := stuck(t, nil), WithUser(t.Context(), "u"), typical()
	if n := testing.AllocsPerRun(5000, func() { c.Track(ctx, "e", p, Tags("a")) }); n > 3 {
		t.Errorf("%v allocations", n)
	}
}
