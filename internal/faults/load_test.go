//go:build linux

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// pressure says how hard a load presses.
type pressure struct {
	workers   int
	perSecond float64 // events, over all workers
	batch     int     // events in one request at most; 1 = only single events
	observe   func(time.Duration)
}

var steady = pressure{workers: 8, perSecond: 4000, batch: 100}

// load is clients that send and retry until stopped.
type load struct {
	pressure
	book    *book
	targets []*service
	client  *http.Client
	limit   *rate.Limiter
	run     string
	next    atomic.Int64
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// startLoad begins to send to the targets, each request to one of them by chance.
func startLoad(t *testing.T, b *book, p pressure, targets ...*service) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{
		pressure: p, book: b, targets: targets, cancel: cancel,
		client: &http.Client{
			Timeout:   30 * time.Second,
			Transport: &http.Transport{MaxIdleConnsPerHost: p.workers},
		},
		limit: rate.NewLimiter(rate.Limit(p.perSecond), max(p.batch, int(p.perSecond/10))),
		run:   strconv.FormatUint(rand.Uint64(), 36),
	}
	for range p.workers {
		l.wg.Go(func() { l.work(ctx) })
	}
	for _, s := range targets {
		l.wg.Go(func() { l.audit(ctx, s) })
	}
	t.Cleanup(l.stop)
	return l
}

// stop ends the load when every request under way has its outcome.
func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
	l.client.CloseIdleConnections()
}

// work is one client: new events, now and then the same ones once more, and whatever was refused
// or not answered again under the same ids, apart from a few that it gives up on.
func (l *load) work(ctx context.Context) {
	var again []string
	for ctx.Err() == nil {
		ids := again
		if ids == nil {
			ids = l.ids(1 + rand.IntN(l.batch))
		}
		if l.limit.WaitN(ctx, len(ids)) != nil {
			return
		}
		again = nil
		switch out := l.send(ids); {
		case out == yes && rand.IntN(50) == 0: // a client that did not hear the answer
			again = ids
		case out != yes && rand.IntN(10) > 0:
			again = ids
			breathe(ctx)
		}
	}
}

// audit asks for the ledger all the time: its sums hold at every moment, not only at the end.
func (l *load) audit(ctx context.Context, s *service) {
	for ctx.Err() == nil {
		var a account
		if err := s.ask("/api/analytics/ledger", &a); err == nil {
			if err := a.check(); err != nil {
				l.book.fault("the ledger under load does not add up: %v: %+v", err, a)
			}
		}
		breathe(ctx)
	}
}

// breathe keeps a client from spinning on a service that is away.
func breathe(ctx context.Context) {
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
	}
}

func (l *load) ids(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%d", l.run, l.next.Add(1))
	}
	return ids
}

// send sends the ids as one request and notes its outcome, which is the same for all of them.
func (l *load) send(ids []string) outcome {
	path, body := "/api/analytics/batch-track", batchBody(ids)
	if len(ids) == 1 && rand.IntN(2) == 0 || l.batch == 1 {
		path, body = "/api/analytics/track", singleBody(ids[0])
	}
	target := l.targets[rand.IntN(len(l.targets))]
	began := time.Now()
	out, sent := l.book.post(l.client, target.address()+path, body, ids)
	if out == yes {
		l.book.began(began)
	}
	if l.observe != nil && out == yes {
		l.observe(time.Since(began))
	}
	if sent {
		l.book.note(out, ids...)
	}
	return out
}

// unconfirmed is what the service says when it does not know itself: the write was begun, and the
// disk failed before it could be confirmed or taken back. To the client that is no answer.
const unconfirmed = "did not confirm in time"

// post sends one request and judges its answer; sent is false when nothing can have arrived.
func (b *book) post(client *http.Client, url string, body []byte, ids []string) (out outcome, sent bool) {
	res, err := client.Post(url, "application/json", bytes.NewReader(body))
	var op *net.OpError
	switch {
	case err != nil && errors.As(err, &op) && op.Op == "dial":
		return no, false
	case err != nil:
		return cut, true
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return cut, true
	}
	switch res.StatusCode {
	case http.StatusOK, http.StatusCreated:
		b.checkYes(answer, ids)
		return yes, true
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err != nil || n < 0 {
			b.fault("%d with Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
		}
		if bytes.Contains(answer, []byte(unconfirmed)) {
			return cut, true
		}
	default:
		b.fault("%s answered %d: %s", url, res.StatusCode, answer)
	}
	return no, true
}

// checkYes reads an answer that says yes: it must say so for every id that was sent.
func (b *book) checkYes(answer []byte, ids []string) {
	var said struct {
		Success bool   `json:"success"`
		EventID string `json:"event_id"`
		Tracked int    `json:"tracked_count"`
		Results []struct {
			EventID string `json:"event_id"`
		} `json:"results"`
	}
	if err := json.Unmarshal(answer, &said); err != nil || !said.Success {
		b.fault("a yes that does not read as one: %s", answer)
		return
	}
	if said.Results == nil {
		if said.EventID != ids[0] {
			b.fault("sent %s, acknowledged %s", ids[0], said.EventID)
		}
		return
	}
	if said.Tracked != len(ids) || len(said.Results) != len(ids) {
		b.fault("sent %d, tracked_count %d, results %d", len(ids), said.Tracked, len(said.Results))
		return
	}
	for i, r := range said.Results {
		if r.EventID != ids[i] {
			b.fault("sent %s at %d, acknowledged %s", ids[i], i, r.EventID)
		}
	}
}

// sample is an event of usual size; its time is off by seconds, as clients' clocks are.
type sample struct {
	Event      string         `json:"event"`
	EventID    string         `json:"event_id"`
	UserID     string         `json:"user_id"`
	Timestamp  time.Time      `json:"timestamp"`
	Properties map[string]any `json:"properties"`
	Tags       []string       `json:"tags"`
}

func newSample(id string) sample {
	return sample{
		Event: "order_placed", EventID: id, UserID: "user-" + strconv.Itoa(rand.IntN(1000)),
		Timestamp: time.Now().Add(time.Duration(rand.IntN(5000)) * -time.Millisecond).UTC(),
		Properties: map[string]any{
			"plan": "pro", "amount": rand.IntN(100000), "currency": "EUR", "note": "it's a \"quoted\" line\nand another",
		},
		Tags: []string{"shop", "checkout"},
	}
}

func singleBody(id string) []byte { return encode(newSample(id)) }

func batchBody(ids []string) []byte {
	all := make([]sample, len(ids))
	for i, id := range ids {
		all[i] = newSample(id)
	}
	return encode(all)
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and times always encode
	}
	return b
}
