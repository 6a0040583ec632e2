//go:build linux

package faults

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// TestQuestionsAfterKills lets clients send, send again, change, delete and erase while the
// processes are killed, two of them on PostgreSQL. Afterwards every statistic must be what the
// clients know.
func TestQuestionsAfterKills(t *testing.T) {
	story(t)
	onEach(t, func(t *testing.T, url string) {
		services := []*service{newService(t, url)}
		if url != "" {
			services = append(services, newService(t, url))
		}
		for _, s := range services {
			s.start()
		}
		now := time.Now().UTC().Truncate(time.Second)
		var writers []*writer
		var all sync.WaitGroup
		stop := make(chan struct{})
		var done atomic.Int64
		for i := range 4 {
			w := newWriter(t, i, services, now)
			writers = append(writers, w)
			all.Go(func() { w.work(stop, &done) })
		}
		for range pick(4, 40) {
			before := done.Load()
			most := before + 10 + rand.Int64N(30)
			proctest.Eventually(t, 2*time.Minute, "the clients go on", func() error {
				if n := done.Load(); n < most {
					return fmt.Errorf("%d of %d done", n, most)
				}
				return nil
			})
			victim := services[rand.IntN(len(services))]
			victim.Kill()
			victim.start()
		}
		close(stop)
		all.Wait()
		var events []event.Event
		for _, w := range writers {
			for _, e := range w.known {
				events = append(events, e)
			}
		}
		for _, s := range services {
			settled(t, s)
		}
		for _, s := range services {
			compareAnswers(t, s, events, now)
		}
		t.Logf("%d steps, %d events left", done.Load(), len(events))
	})
}

// writer is one client, with ids and users of its own, that knows what must be stored.
type writer struct {
	t        *testing.T
	n        int
	r        *rand.Rand
	services []*service
	now      time.Time
	made     int
	known    map[string]event.Event
	sent     []sentEvent // to be sent again
}

type sentEvent struct {
	ID         string         `json:"event_id"`
	Name       string         `json:"event_name"`
	Type       event.Type     `json:"event_type"`
	Severity   event.Severity `json:"severity"`
	User       string         `json:"user_id,omitempty"`
	Session    string         `json:"session_id,omitempty"`
	Source     string         `json:"source,omitempty"`
	Time       time.Time      `json:"timestamp"`
	Properties map[string]any `json:"properties"`
}

func newWriter(t *testing.T, n int, services []*service, now time.Time) *writer {
	seed := rand.Uint64()
	t.Logf("writer %d has seed %d", n, seed)
	return &writer{t: t, n: n, r: rand.New(rand.NewPCG(seed, 1)), services: services, now: now, known: map[string]event.Event{}}
}

func choose[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// work does one thing after the other; each is repeated until it is answered.
func (w *writer) work(stop <-chan struct{}, done *atomic.Int64) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		switch w.r.IntN(8) {
		case 0:
			w.sendAgain()
		case 1:
			w.change()
		case 2:
			w.markProcessed()
		case 3:
			w.remove()
		case 4:
			if w.r.IntN(4) == 0 {
				w.erase()
			}
		default:
			w.sendNew()
		}
		done.Add(1)
	}
}

// until repeats a request, to one service after the other, until ok says that it was answered.
// Whether an earlier try may have been carried out without an answer is told as unsure.
func (w *writer) until(method, path, body string, ok func(status int, answer []byte, unsure bool) bool) {
	unsure := false
	var last string
	for began := time.Now(); time.Since(began) < 2*time.Minute; {
		s := choose(w.r, w.services...)
		status, answer, err := s.do(method, path, body)
		if err == nil && ok(status, answer, unsure) {
			return
		}
		unsure = unsure || err != nil || status >= 500
		last = fmt.Sprint(status, string(answer), err)
		lapse(20 * time.Millisecond)
	}
	w.t.Errorf("%s %s had no answer: %s", method, path, last)
}

func success(status int, _ []byte, _ bool) bool { return status/100 == 2 }

func (w *writer) sendNew() {
	batch := make([]sentEvent, 1+w.r.IntN(40))
	for i := range batch {
		w.made++
		at := w.now.Add(-time.Duration(w.r.Int64N(int64(72 * time.Hour)))).Truncate(time.Millisecond)
		if w.r.IntN(20) == 0 {
			at = at.AddDate(0, 0, -60)
		}
		e := sentEvent{
			ID: fmt.Sprintf("w%d-%d", w.n, w.made), Name: choose(w.r, "view", "view", "pay", "sign up"),
			Type: choose(w.r, event.Types...), Severity: choose(w.r, event.Severities...), Source: choose(w.r, "", "web", "app"), Time: at,
			Properties: map[string]any{"plan": choose(w.r, "free", "pro", "team"), "amount": float64(w.r.IntN(10_000)) / 4},
		}
		if u := w.r.IntN(12); u > 0 {
			e.User, e.Session = fmt.Sprintf("w%d-u%d", w.n, u), fmt.Sprintf("w%d-s%d", w.n, w.r.IntN(30))
		}
		batch[i] = e
	}
	w.send(batch)
	for i := range batch {
		e := &batch[i]
		properties, err := json.Marshal(e.Properties)
		if err != nil {
			w.t.Error(err)
		}
		w.known[e.ID] = event.Event{
			ID: e.ID, Name: e.Name, Type: e.Type, Severity: e.Severity, UserID: e.User, SessionID: e.Session,
			Source: e.Source, Timestamp: e.Time, Properties: properties, SampleRate: 1,
		}
	}
	w.sent = append(w.sent, batch...)
}

func (w *writer) send(batch []sentEvent) {
	body := string(encode(map[string]any{"events": batch}))
	w.until(http.MethodPost, "/api/analytics/events/batch", body, success)
}

// sendAgain sends events once more, also deleted ones, with another time: they are duplicates.
func (w *writer) sendAgain() {
	if len(w.sent) == 0 {
		return
	}
	from := w.r.IntN(len(w.sent))
	batch := slices.Clone(w.sent[from:min(len(w.sent), from+1+w.r.IntN(30))])
	for i := range batch {
		w.awaitStored(batch[i].ID)
		batch[i].Time = batch[i].Time.Add(-time.Hour)
	}
	w.send(batch)
}

// one is the id of an event that is there; "" when there is none.
func (w *writer) one() string {
	for id := range w.known {
		w.awaitStored(id)
		return id
	}
	return ""
}

// awaitStored waits for an event that was accepted and may wait in the journal of a killed process.
func (w *writer) awaitStored(id string) {
	if _, there := w.known[id]; there {
		w.until(http.MethodGet, "/api/analytics/events/"+url.PathEscape(id), "", success)
	}
}

func (w *writer) change() {
	id := w.one()
	if id == "" {
		return
	}
	e := w.known[id]
	e.Severity, e.Processed = choose(w.r, event.Severities...), w.r.IntN(2) == 0
	body := string(encode(map[string]any{"severity": e.Severity, "processed": e.Processed}))
	w.until(http.MethodPatch, "/api/analytics/events/"+url.PathEscape(id), body, success)
	w.known[id] = e
}

func (w *writer) markProcessed() {
	var ids []string
	for range 1 + w.r.IntN(5) {
		if id := w.one(); id != "" {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return
	}
	w.until(http.MethodPost, "/api/analytics/events/processed", string(encode(map[string]any{"event_ids": ids})), success)
	for _, id := range ids {
		e := w.known[id]
		e.Processed = true
		w.known[id] = e
	}
}

func (w *writer) remove() {
	id := w.one()
	if id == "" {
		return
	}
	w.until(http.MethodDelete, "/api/analytics/events/"+url.PathEscape(id), "", func(status int, _ []byte, unsure bool) bool {
		return status/100 == 2 || unsure && status == http.StatusNotFound
	})
	delete(w.known, id)
}

// erase removes a person. What the person's events wait for in journals is refused later; ids are
// not used again.
func (w *writer) erase() {
	user := fmt.Sprintf("w%d-u%d", w.n, 1+w.r.IntN(11))
	w.until(http.MethodDelete, "/api/analytics/users/"+user, "", success)
	for id, e := range w.known {
		if e.UserID == user {
			delete(w.known, id)
		}
	}
	w.sent = slices.DeleteFunc(w.sent, func(e sentEvent) bool { return e.User == user })
}
