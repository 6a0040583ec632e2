package destination

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

const signingSecret = "a signing secret"

// receiver is a service that events go to. It takes CloudEvents batches that are signed.
type receiver struct {
	testing.TB
	server *httptest.Server

	mu    sync.Mutex
	ids   []string // in the order in which they came, repetitions included
	data  []map[string]any
	tries int
	fault func(w http.ResponseWriter, r *http.Request, try int, body []byte) bool // true = it has answered
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{TB: t}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) failing(f func(w http.ResponseWriter, r *http.Request, try int, body []byte) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = f
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.tries++
	try, fault := r.tries, r.fault
	r.mu.Unlock()
	mac := hmac.New(sha256.New, []byte(signingSecret))
	fmt.Fprintf(mac, "%s.%s.%s", q.Header.Get("Webhook-Id"), q.Header.Get("Webhook-Timestamp"), body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); q.Header.Get("Webhook-Signature") != want {
		r.Error("a request is not signed with our secret")
	}
	if fault != nil && fault(w, q, try, body) {
		return
	}
	r.note(body)
}

func (r *receiver) note(body []byte) {
	var batch []struct {
		ID, Type, Source string
		Data             map[string]any
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&batch); err != nil {
		r.Errorf("%v in %s", err, body)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range batch {
		if e.ID != e.Data["event_id"] || e.Type != e.Data["event_name"] || e.Source == "" {
			r.Errorf("the envelope is not the event's: %+v", e)
		}
		r.ids = append(r.ids, e.ID)
		r.data = append(r.data, e.Data)
	}
}

// got are the ids without repetitions, in the order in which each came first.
func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[string]bool{}
	var list []string
	for _, id := range r.ids {
		if !seen[id] {
			seen[id] = true
			list = append(list, id)
		}
	}
	return list
}

// await waits until the first n events have come, all of them, and checks their order.
func (r *receiver) await(n int) {
	r.Helper()
	until(r.TB, fmt.Sprintf("%d events", n), func() bool { return len(r.got()) >= n })
	got := r.got()
	if len(got) != n {
		r.Errorf("%d events came, want %d", len(got), n)
	}
	if !slices.IsSorted(got) {
		r.Error("the events came out of order")
	}
}

func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // so that closing resets
	}
	_ = conn.Close()
}
