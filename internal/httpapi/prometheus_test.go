package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestPrometheusAPI(t *testing.T) {
	w := newWorld(t, func(d *Deps) {
		d.Prometheus = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"status":"success","data":"`+r.Method+" "+r.URL.Path+`"}`)
		})
	})
	if _, _, err := w.access.Create(context.Background(), "first", []string{"admin"}); err != nil {
		t.Fatal(err)
	}
	read, _, err := w.access.Create(context.Background(), "reader", []string{"read"})
	if err != nil {
		t.Fatal(err)
	}
	ingest, _, err := w.access.Create(context.Background(), "sender", []string{"ingest"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		method, path, key string
		status            int
		want              string
	}{
		{"GET", "/api/v1/query?query=up", read, 200, `"data":"GET /api/v1/query"`},
		{"POST", "/api/v1/query_range", read, 200, `"data":"POST /api/v1/query_range"`},
		{"GET", "/api/v1/label/job/values", read, 200, `"data":"GET /api/v1/label/job/values"`},
		{"GET", "/api/v1/status/buildinfo", read, 200, `"success"`},
		{"GET", "/api/v1/query?query=up", "", 401, `"errorType":"unauthorized"`},
		{"GET", "/api/v1/query?query=up", ingest, 403, `"errorType":"forbidden"`},
		{"POST", "/api/v1/admin/tsdb/delete_series", read, 404, `"status":404`},
		{"POST", "/api/v1/write", read, 404, `"status":404`},
		{"GET", "/api/v1/status/config", read, 404, `"status":404`},
		{"DELETE", "/api/v1/series", read, 405, `"status":405`},
	} {
		req, err := http.NewRequest(tt.method, w.URL+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.key != "" {
			req.Header.Set("Authorization", "Bearer "+tt.key)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != tt.status || !strings.Contains(string(body), tt.want) || !json.Valid(body) {
			t.Errorf("%s %s: %d %s, want %d with %s", tt.method, tt.path, res.StatusCode, body, tt.status, tt.want)
		}
	}
	for name := range w.deps.Operations.Stats() {
		if strings.Contains(name, "/label/job/") {
			t.Errorf("timings have a name from a path: %s", name)
		}
	}
}

func TestWithoutPrometheusAPI(t *testing.T) {
	w := newWorld(t)
	res, err := http.Get(w.URL + "/api/v1/query?query=up")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", res.StatusCode)
	}
}
