package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// TestSeriesStayBounded sends requests in which a client chooses whatever it can.
func TestSeriesStayBounded(t *testing.T) {
	a := start(t, testConfig(t.TempDir()), Options{})
	const connections = 4
	n := 10_000
	if testing.Short() {
		n = 1_000
	}
	send := func(requests int) {
		t.Helper()
		failed := make(chan error, connections)
		for i := range connections {
			go func() { failed <- randomRequests(t.Context(), a.Addr().String(), uint64(i), requests/connections) }()
		}
		for range connections {
			if err := <-failed; err != nil {
				t.Fatal(err)
			}
		}
	}
	// Every known method at every known path, and an unknown one, makes what series there can be.
	send(n / 5)
	before := series(gather(t, a))
	send(n)
	after := series(gather(t, a))
	// A rare status may come late; nothing may grow with the number of requests.
	if grown := after - before; grown > 200 || after > 6000 {
		t.Errorf("%d series after %d requests, %d after %d", before, n/5, after, n+n/5)
	}
	t.Logf("%d series after %d requests, %d after %d", before, n/5, after, n+n/5)
	for _, f := range gather(t, a) {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if strings.Contains(strings.ToLower(l.GetValue()), "zz") {
					t.Errorf("%s has %s=%q of a client", f.GetName(), l.GetName(), l.GetValue())
				}
			}
		}
	}
}

// series counts as Prometheus does: each bucket is one.
func series(all []*dto.MetricFamily) (n int) {
	for _, f := range all {
		for _, m := range f.GetMetric() {
			n++
			if h := m.GetHistogram(); h != nil {
				n += len(h.GetBucket()) + 2
			}
		}
	}
	return n
}

// randomRequests marks with zz everything that it makes up.
func randomRequests(ctx context.Context, addr string, seed uint64, n int) error {
	random := rand.New(rand.NewPCG(seed, uint64(n)))
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	word := func() string { return fmt.Sprintf("zz%x", random.Uint64()) }
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	for range n {
		method := pick("GET", "get", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", word(), strings.ToUpper(word()))
		path := pick("/", "/"+word(), "/"+word()+"/"+word(), "/api/analytics/events/"+word(), "/api/analytics/receipts/"+word(),
			"/api/analytics/performance/operation/"+word(), "/api/analytics/track", "/api/analytics/"+word(), "//"+word()+"/../x", "/-/"+word())
		_, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: %s\r\nX-Forwarded-Host: %s\r\nX-Forwarded-For: 10.%d.2.3\r\nTraceparent: 00-%032x-%016x-01\r\nContent-Length: 0\r\n\r\n",
			method, path+pick("", "?"+word()+"="+word()), word(), random.IntN(1<<16), word(), word(), random.IntN(256), random.Uint64(), random.Uint64())
		if err != nil {
			return err
		}
		res, err := http.ReadResponse(in, &http.Request{Method: strings.ToUpper(method)})
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
