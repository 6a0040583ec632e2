package destination

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/telemetry/otlp"
)

// between is a store in which something happens after the next reading.
type between struct {
	Store
	happens func()
}

func (b *between) LoadDestinations(ctx context.Context, stream string) (store.Destinations, error) {
	d, err := b.Store.LoadDestinations(ctx, stream)
	if happens := b.happens; happens != nil {
		b.happens = nil
		happens()
	}
	return d, err
}

// another is a second manager of the same destinations, as another replica has it, which delivers
// nothing.
func (w *world) another() (*Manager, *between) {
	b := &between{Store: w.store}
	o := w.manager.opt
	o.Store, o.Registry, o.LogRecord, o.Holder = b, prometheus.NewRegistry(), otlp.Record, "another"
	return New(o), b
}

// What is changed while another change is under way is neither undone nor brought back.
func TestChangesAtTheSameTime(t *testing.T) {
	w, first, second := newWorld(t, 0), newReceiver(t), newReceiver(t)
	other, store := w.another()
	begin := func() {
		t.Helper()
		w.put(hook("a", first), Secrets{Secret: signingSecret, Token: "old"})
	}
	begin()
	store.happens = func() { w.ok(w.manager.Delete(t.Context(), "a")) }
	if _, err := other.SetEnabled(t.Context(), "a", true); !errs.Is(err, errs.NotFound) {
		t.Errorf("resuming what is being deleted: %v", err)
	}
	if _, err := w.manager.Get(t.Context(), "a"); !errs.Is(err, errs.NotFound) {
		t.Fatalf("it was brought back: %v", err)
	}

	begin()
	store.happens = func() { w.put(hook("a", second), Secrets{Secret: signingSecret}) }
	_, err := other.SetEnabled(t.Context(), "a", false)
	w.ok(err)
	if v, err := w.manager.Get(t.Context(), "a"); err != nil || v.URL != hook("a", second).URL || *v.Enabled || len(v.SecretsSet) != 1 {
		t.Errorf("paused while it was replaced: %+v %v", v, err)
	}

	w.ok(w.manager.Delete(t.Context(), "a"))
	begin()
	store.happens = func() { w.ok(w.manager.Delete(t.Context(), "a")) }
	v, created, err := other.Put(t.Context(), &Request{Settings: hook("a", first)})
	if w.ok(err); !created || len(v.SecretsSet) > 0 {
		t.Errorf("made anew while it was deleted: %v, with the secrets %v", created, v.SecretsSet)
	}

	begin()
	store.happens = func() { w.put(hook("a", first), Secrets{Token: "new"}) }
	_, _, err = other.Put(t.Context(), &Request{Settings: hook("a", first)})
	w.ok(err)
	row, _, err := w.manager.row(t.Context(), "a")
	w.ok(err)
	if c, err := readConfig(row.Config); err != nil || c.Secrets.Token != "new" {
		t.Errorf("the token is %q, %v", c.Secrets.Token, err)
	}
}

// One that is made under the name of a deleted one begins by itself, whatever the other has still
// delivered.
func TestANameIsUsedAgain(t *testing.T) {
	w, first, second := newWorld(t, 0), newReceiver(t), newReceiver(t)
	w.put(hook("a", first), Secrets{Secret: signingSecret})
	w.send(20)
	first.await(20)
	w.manager.round.Lock() // no look at the database comes in between
	w.ok(w.manager.Delete(t.Context(), "a"))
	w.put(hook("a", second), Secrets{Secret: signingSecret})
	w.send(20)
	first.await(40) // it does not know yet that it is over
	w.manager.round.Unlock()
	until(t, "what was accepted since", func() bool { return len(second.got()) >= 20 })
	if got := second.got(); len(got) != 20 || got[0] != eventOf(20).ID {
		t.Errorf("the new one got %v", got)
	}
}

// However many change destinations at once, in the end those run that are switched on and no other.
func TestManyChangesLeaveNoRunner(t *testing.T) {
	w, r := newWorld(t, 0), newReceiver(t)
	other, _ := w.another()
	names := []string{"a", "b"}
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for step := range 20 {
				m, name := []*Manager{w.manager, other}[(n+step)%2], names[(n+step/2)%2]
				var err error
				switch (3*n + step) % 4 {
				case 0:
					s := hook(name, r)
					s.AllowPrivateAddresses = true
					_, _, err = m.Put(t.Context(), &Request{Settings: s, Secrets: Secrets{Secret: signingSecret}})
				case 1:
					err = m.Delete(t.Context(), name)
				default:
					_, err = m.SetEnabled(t.Context(), name, step%2 == 0)
				}
				if err != nil && !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Conflict) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	agree := func() bool {
		views, err := w.manager.List(t.Context())
		w.ok(err)
		var on, run []string
		for _, v := range views {
			if *v.Enabled {
				on = append(on, fmt.Sprint(v.Name, v.Status.UpdatedAt.UnixMicro()))
			}
		}
		w.manager.mu.Lock()
		defer w.manager.mu.Unlock()
		for name, r := range w.manager.runners {
			run = append(run, fmt.Sprint(name, r.since.UnixMicro()))
		}
		slices.Sort(run)
		return slices.Equal(on, run)
	}
	until(t, "those that are switched on to run", agree)
	for _, name := range names {
		if err := w.manager.Delete(t.Context(), name); err != nil && !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
	}
	until(t, "no runner", func() bool { return agree() && w.manager.runnerOf("a") == nil && w.manager.runnerOf("b") == nil })
}

// Two changes within one tick of the clock, or after it was set back, are two.
func TestAChangeIsSeenWhateverTheClockSays(t *testing.T) {
	w := newWorld(t, 0)
	m, _ := w.another()
	at := time.Now()
	m.opt.Now = func() time.Time { at = at.Add(-time.Hour); return at }
	s := Settings{Name: "a", Kind: Webhook, URL: "https://hooks.example.com/"}
	v, _, err := m.Put(t.Context(), &Request{Settings: s})
	w.ok(err)
	again, _, err := m.Put(t.Context(), &Request{Settings: s})
	if w.ok(err); !again.Status.UpdatedAt.After(v.Status.UpdatedAt) {
		t.Errorf("changed at %v, then at %v", v.Status.UpdatedAt, again.Status.UpdatedAt)
	}
}
