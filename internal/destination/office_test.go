package destination

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/store"
)

// shared is a database that other replicas use as well.
type shared struct{ Store }

func (s shared) Elect(ctx context.Context, office, holder string, ttl time.Duration) (store.Term, bool, error) {
	t, ok, err := s.Store.Elect(ctx, office, holder, ttl)
	t.Alone = false
	return t, ok, err
}

// sharing has the manager's clock and makes others able to take over.
func (w *world) sharing(now func() time.Time) {
	w.manager.round.Lock()
	defer w.manager.round.Unlock()
	w.manager.opt.Store, w.manager.opt.Now = shared{w.store}, now
}

// A process that stands still for longer than its term sends nothing before it has asked again.
func TestNothingIsSentAfterTheTerm(t *testing.T) {
	w, r := newWorld(t, 0), newReceiver(t)
	var ahead atomic.Int64
	w.sharing(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	w.put(hook("a", r), Secrets{Secret: signingSecret})
	w.send(20)
	r.await(20)
	w.manager.round.Lock() // it does not look
	ahead.Store(int64(termFor))
	w.send(20)
	until(t, "the events to lie there", func() bool { return w.metric("lag_events", "a") == 20 })
	pause(t.Context(), 300*time.Millisecond) // long enough to send them, were they sent
	if n := len(r.got()); n != 20 {
		t.Errorf("%d events were sent after the term", n-20)
	}
	w.manager.round.Unlock()
	r.await(40)
}

// A replica that has not been heard of for long is forgotten by those that there are.
func TestReplicasThatAreGoneAreForgotten(t *testing.T) {
	w, r := newWorld(t, 0), newReceiver(t)
	w.put(hook("a", r), Secrets{Secret: signingSecret})
	v, err := w.manager.Get(t.Context(), "a")
	w.ok(err)
	long := time.Now().Add(-2 * forgetAfter)
	gone := store.DestinationCursor{Destination: "a", Stream: "gone", Seq: 7, At: long, Of: v.Status.CreatedAt}
	w.ok(w.store.SaveDestinations(t.Context(), nil, &store.DestinationChanges{Cursors: []store.DestinationCursor{gone}}))
	w.manager.round.Lock()
	w.manager.tidied = time.Time{} // an hour has gone by
	w.manager.round.Unlock()
	until(t, "it to be forgotten", func() bool {
		d, err := w.store.LoadDestinations(t.Context(), "gone")
		w.ok(err)
		return len(d.Cursors) == 0
	})
	w.send(10)
	r.await(10)
}
