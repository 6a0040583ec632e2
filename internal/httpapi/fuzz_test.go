package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func newRequest(t testing.TB) *http.Request {
	t.Helper()
	return httptest.NewRequest(http.MethodGet, "/x", nil)
}

// FuzzDoors sends anything to every page with a body: never a 5xx, always JSON, and every event
// is counted.
func FuzzDoors(f *testing.F) {
	m := newMemory()
	deps, _, _ := newDeps(f, m, io.Discard)
	api, err := New(deps)
	must(f, err)
	f.Cleanup(func() { must(f, api.Close(context.Background())) })
	for i, d := range bodyDoors {
		f.Add(uint8(i), uint8(0), []byte(d.good))
		f.Add(uint8(i), uint8(1), []byte(packed(f, "gzip", d.good)))
		f.Add(uint8(i), uint8(2), []byte(packed(f, "zstd", d.good)))
	}
	for _, body := range malformed() {
		if len(body) < 10_000 {
			f.Add(uint8(0), uint8(0), []byte(body))
			f.Add(uint8(1), uint8(0), []byte("["+body+"]"))
			f.Add(uint8(5), uint8(0), []byte(`{"events":[`+body+`]}`))
		}
	}
	f.Fuzz(func(t *testing.T, page, encoding uint8, body []byte) {
		d := bodyDoors[int(page)%len(bodyDoors)]
		r := httptest.NewRequest(d.method, d.path, bytes.NewReader(body))
		r.Header.Set("Content-Encoding", []string{"", "gzip", "zstd"}[encoding%3])
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %s: %d %s", d.method, d.path, w.Code, w.Body)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: not JSON: %q", d.method, d.path, w.Body)
		}
		if l := m.ledger; l.Received != l.Rejected+l.SampledOut+l.Accepted {
			t.Errorf("counted %+v", l)
		}
	})
}
