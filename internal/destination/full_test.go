package destination

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// logged is what was logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// One that has as many dead letters as it may waits, says so once, and goes on when they are replayed,
// which comes first however long it has waited.
func TestFullDeadLetters(t *testing.T) {
	w, r, log := newWorld(t, 0), newReceiver(t), &logged{}
	w.manager.mostLetters, w.manager.opt.Logger = 3, slog.New(slog.NewTextHandler(log, nil))
	var mended atomic.Bool
	r.failing(func(rw http.ResponseWriter, _ *http.Request, _ int, _ []byte) bool {
		if !mended.Load() {
			rw.WriteHeader(http.StatusUnprocessableEntity)
		}
		return !mended.Load()
	})
	w.put(hook("a", r), Secrets{Secret: signingSecret})
	w.send(10)
	until(t, "the wait", func() bool { return w.metric("state", "a") == float64(Full) })
	failed := w.metric("failed_total", "a")
	until(t, "more tries", func() bool { return w.metric("failed_total", "a") >= failed+5 })
	v, err := w.manager.Get(t.Context(), "a")
	w.ok(err)
	if v.Status.State != "full" || v.Status.DeadLetters != 3 || !strings.Contains(v.Status.LastError, "dead letters are full: replay or drop them") {
		t.Errorf("it stands like this: %+v", v.Status)
	}
	if n := log.count("the destination waits"); n != 1 || log.count("events were refused for good") != 1 {
		t.Errorf("it is said %d times that it waits, of %s", n, log.text.String())
	}
	if dead := w.metric("dead_lettered_total", "a"); dead != 3 {
		t.Errorf("%v are counted as dead letters, 3 are kept", dead)
	}
	if _, err := w.pipeline.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.ok(w.manager.Replay(t.Context(), "a", History, time.Now().Add(-time.Hour), time.Time{}))
	mended.Store(true)
	w.ok(w.manager.Replay(t.Context(), "a", DeadLetters, time.Time{}, time.Time{}))
	until(t, "everything", func() bool { return len(r.got()) == 10 })
	until(t, "the end of both replays", func() bool {
		v, err := w.manager.Get(t.Context(), "a")
		w.ok(err)
		return v.Status.Replays == 0 && v.Status.State == "delivering" && v.Status.DeadLetters == 0 && v.Status.LastError == "" && v.Status.LagEvents == 0
	})
	if got := r.got(); got[0] != eventOf(0).ID || got[1] != eventOf(1).ID || got[2] != eventOf(2).ID {
		t.Errorf("the dead letters did not come first: %v", got)
	}
}

// Room that people make by dropping dead letters is found without their saying so.
func TestDroppedDeadLettersMakeRoom(t *testing.T) {
	w, r := newWorld(t, 0), newReceiver(t)
	w.manager.mostLetters = 3
	r.failing(func(rw http.ResponseWriter, _ *http.Request, _ int, _ []byte) bool {
		rw.WriteHeader(http.StatusBadRequest)
		return true
	})
	w.put(hook("a", r), Secrets{Secret: signingSecret})
	w.send(5)
	until(t, "the wait", func() bool { return w.metric("state", "a") == float64(Full) })
	w.ok(w.manager.DropUndelivered(t.Context(), "a"))
	until(t, "the others to be kept", func() bool {
		return w.metric("state", "a") == float64(Delivering) && w.metric("dead_lettered_total", "a") == 5
	})
}
