package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/ingest"
)

// nothing is an intake that costs nothing.
type nothing struct{ *memory }

func (nothing) Submit(_ context.Context, _ event.Protocol, items []ingest.Item) (uint64, error) {
	for i := range items {
		if items[i].Event.ID == "" {
			items[i].Event.ID = "01a209d5-9464-744e-879c-4df41b27bc5c"
		}
	}
	return 1, nil
}

// sample is an event of about 350 bytes.
const sample = `{"event":"checkout_completed","event_type":"custom","timestamp":"2026-03-01T12:00:00.123456Z",` +
	`"user_id":"user-184467","session_id":"session-9912837","properties":{"plan":"pro","amount":129.95,` +
	`"currency":"EUR","items":3,"coupon":"SPRING","path":"/checkout/done","experiment":"b"},` +
	`"tags":["web","checkout"],"source":"shop","user_agent":"Mozilla/5.0 (X11; Linux x86_64)"}`

func batchOf(n int) string { return "[" + strings.Repeat(sample+",", n-1) + sample + "]" }

// sink is a response that goes nowhere.
type sink struct{ header http.Header }

func (s sink) Header() http.Header         { return s.header }
func (s sink) Write(b []byte) (int, error) { return len(b), nil }
func (s sink) WriteHeader(int)             {}

// BenchmarkHandler is the handler's own cost, without connections.
func BenchmarkHandler(b *testing.B) {
	w := newWorld(b, func(d *Deps) { d.Intake = nothing{} })
	for _, c := range []struct{ name, path, body string }{
		{"track", "/api/analytics/track", sample},
		{"batch-track-100", "/api/analytics/batch-track", batchOf(100)},
	} {
		b.Run(c.name, func(b *testing.B) {
			body := strings.NewReader(c.body)
			r, err := http.NewRequest(http.MethodPost, c.path, io.NopCloser(body))
			if err != nil {
				b.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			r.ContentLength = int64(len(c.body))
			out := sink{http.Header{}}
			b.SetBytes(int64(len(c.body)))
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(c.body)
				clear(out.header)
				w.api.ServeHTTP(out, r)
			}
		})
	}
}

// BenchmarkConnections is requests over 64 loopback connections, client included.
func BenchmarkConnections(b *testing.B) {
	w := newWorld(b, func(d *Deps) { d.Intake = nothing{} })
	addr := strings.TrimPrefix(w.URL, "http://")
	for _, c := range []struct {
		name, path, body string
		events           int
	}{
		{"track", "/api/analytics/track", sample, 1},
		{"batch-track-100", "/api/analytics/batch-track", batchOf(100), 100},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetParallelism(32) // times GOMAXPROCS
			raw := []byte(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: tidemark\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
				c.path, len(c.body), c.body))
			b.RunParallel(func(pb *testing.PB) {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					b.Error(err)
					return
				}
				defer conn.Close()
				in := bufio.NewReader(conn)
				for pb.Next() {
					if err := exchange(conn, in, raw); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N*c.events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// exchange sends a request and reads its answer without net/http's costs.
func exchange(conn net.Conn, in *bufio.Reader, raw []byte) error {
	if _, err := conn.Write(raw); err != nil {
		return err
	}
	length, ok := 0, false
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		ok = ok || bytes.HasPrefix(line, []byte("HTTP/1.1 200 "))
		if v, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			for _, c := range bytes.TrimSpace(v) {
				length = length*10 + int(c-'0')
			}
		}
		if len(line) == 2 {
			break
		}
	}
	if !ok || length == 0 {
		return fmt.Errorf("an answer other than 200 with a length: %v, %d", ok, length)
	}
	_, err := in.Discard(length)
	return err
}
