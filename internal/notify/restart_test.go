package notify

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func TestACrashNeitherForgetsNorRepeats(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		w.fire("Up/a", "Up/b")
		w.pass(10 * time.Minute)
		w.wantHeard("ops", "+Up/a +Up/b")
		w.crash()
		time.Sleep(20 * time.Minute) // longer than any report is valid
		w.start()
		w.pass(2 * time.Minute)
		w.wantHeard("ops")
		w.resolve("Up/a")
		w.pass(10 * time.Minute)
		w.wantHeard("ops", "+Up/b -Up/a")
		w.crash()
		w.start()
		w.resolve("Up/b")
		w.crash() // the end was stored, or the record is found to have run out
		w.start()
		w.pass(20 * time.Minute)
		w.wantHeard("ops", "-Up/b")
		w.pass(20 * time.Minute)
		w.wantHeard("ops")
	})
}

// What ended while nobody was there is told once, after its reporter had time to speak up.
func TestAnEndDuringTheOutageIsToldOnce(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		w.fire("Up/a")
		w.pass(10 * time.Minute)
		w.wantHeard("ops", "+Up/a")
		w.crash()
		delete(w.firing, "Up/a")
		time.Sleep(time.Hour)
		w.start()
		w.pass(3 * time.Minute)
		w.wantHeard("ops")
		w.pass(10 * time.Minute)
		w.wantHeard("ops", "-Up/a")
		w.crash()
		w.start()
		w.pass(5 * time.Hour)
		w.wantHeard("ops")
		if got := w.history(); !slices.Equal(got, []string{"fired Up", "notified Up ops", "resolved Up", "notified Up ops"}) {
			w.t.Errorf("history %q", got)
		}
	})
}

func TestACrashBeforeTheFirstNotification(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		w.fire("Up/a")
		w.pass(10 * time.Second)
		w.crash()
		w.start()
		w.pass(time.Minute)
		w.wantHeard("ops", "+Up/a")
	})
}

// The repeat interval goes on over a restart.
func TestRepeatsGoOnAfterACrash(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		w.fire("Up/a")
		w.pass(2 * time.Hour)
		w.wantHeard("ops", "+Up/a")
		w.crash()
		w.start()
		w.pass(time.Hour)
		w.wantHeard("ops")
		w.pass(time.Hour + 10*time.Minute)
		w.wantHeard("ops", "+Up/a")
	})
}

// A receiver that a crash left in doubt can tell by the id that it has had the notification.
func TestARepeatedNotificationHasTheSameID(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		refuse := &away{}
		w.crash()
		w.wrap = refuse.before
		w.start()
		w.fire("Up/a")
		w.pass(10 * time.Second) // what is active is stored
		refuse.saves.Store(true)
		w.pass(30 * time.Second)
		first := w.ears["ops"].ids()
		w.wantHeard("ops", "+Up/a")
		w.crash()
		refuse.saves.Store(false)
		w.start()
		w.pass(time.Minute)
		if again := w.ears["ops"].ids(); len(again) != 1 || !slices.Equal(again, first) {
			w.t.Errorf("heard %v again, first %v", again, first)
		}
	})
}

// away stands for a database that cannot be reached.
type away struct{ saves, all atomic.Bool }

type awayStore struct {
	*store.Store
	away *away
}

func (a *away) before(s *store.Store) interface {
	Store
	Office
} {
	return &awayStore{s, a}
}

var errAway = errs.Wrap(errs.Unavailable, "the database is not available", errors.New("away"))

func (s *awayStore) Elect(ctx context.Context, office, holder string, ttl time.Duration) (store.Term, bool, error) {
	if s.away.all.Load() {
		return store.Term{}, false, errAway
	}
	return s.Store.Elect(ctx, office, holder, ttl)
}

func (s *awayStore) LoadAlerting(ctx context.Context) (store.Alerting, error) {
	if s.away.all.Load() {
		return store.Alerting{}, errAway
	}
	return s.Store.LoadAlerting(ctx)
}

func (s *awayStore) SaveAlerting(ctx context.Context, c *store.AlertingChanges) error {
	if s.away.all.Load() || s.away.saves.Load() {
		return errAway
	}
	return s.Store.SaveAlerting(ctx, c)
}

func TestWithoutTheDatabaseWhoSpeaksGoesOn(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		db := &away{}
		w.crash()
		w.wrap = db.before
		w.start()
		w.fire("Up/a")
		w.pass(10 * time.Minute)
		w.wantHeard("ops", "+Up/a")
		db.all.Store(true)
		w.fire("DatabaseDown/x")
		w.pass(time.Minute)
		w.wantHeard("ops", "+DatabaseDown/x")
		w.resolve("Up/a")
		w.pass(10 * time.Minute)
		w.wantHeard("ops", "-Up/a")
		db.all.Store(false)
		w.pass(10 * time.Second)
		w.crash()
		w.start()
		w.pass(time.Hour)
		w.wantHeard("ops")
		want := []string{"fired Up", "notified Up ops", "fired DatabaseDown", "notified DatabaseDown ops", "resolved Up", "notified Up ops"}
		if got := w.history(); !slices.Equal(got, want) {
			w.t.Errorf("history %q", got)
		}
	})
}

// Started without a database nobody knows who speaks; rather twice than not at all.
func TestAStartWithoutTheDatabase(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		db := &away{}
		db.all.Store(true)
		w.crash()
		w.wrap = db.before
		w.start()
		w.fire("DatabaseDown/x")
		w.pass(25 * time.Second)
		w.wantHeard("ops")
		w.pass(time.Minute)
		w.wantHeard("ops", "+DatabaseDown/x")
		db.all.Store(false)
		w.pass(time.Hour)
		w.wantHeard("ops")
		w.resolve("DatabaseDown/x")
		w.pass(10 * time.Minute)
		w.wantHeard("ops", "-DatabaseDown/x")
	})
}

// Other replicas must not take an alert for over because the one that sees it was restarted.
func TestTheFirstReportAfterARestartIsStored(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		w.fire("Up/a")
		w.pass(time.Minute)
		w.crash()
		time.Sleep(2 * time.Minute)
		w.start()
		w.pass(time.Minute)
		found, err := w.db.LoadAlerting(w.t.Context())
		w.ok(err)
		if len(found.Alerts) != 1 || time.Until(found.Alerts[0].EndsAt) < validity-time.Minute {
			w.t.Errorf("at %v stored %+v", time.Now(), found.Alerts)
		}
	})
}

func TestStoppingWithoutTheDatabase(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		db := &away{}
		w.crash()
		w.wrap = db.before
		w.start()
		w.fire("Up/a")
		w.pass(time.Minute)
		db.all.Store(true)
		w.fire("Up/b")
		w.pass(time.Second)
		w.ears["ops"].take()
		w.stop()
		db.all.Store(false)
		w.start()
		w.pass(10 * time.Minute)
		w.wantHeard("ops", "+Up/a +Up/b")
	})
}

// A job that was waiting for its next try when another replica took over does not go on when this
// one takes over again: the log may have changed.
func TestAJobDoesNotOutliveItsTerm(t *testing.T) {
	m := &Manager{log: slog.New(slog.DiscardHandler), book: newBook(&plan{cfg: testConfig()}, "one")}
	m.opt.Now = time.Now
	first, second := store.Term{Number: 1}, store.Term{Number: 3}
	m.term = &first
	m.book.speak(true, time.Now())
	era := m.book.era
	if !m.judge(first, true, nil, era) || !m.judge(store.Term{}, false, errAway, era) {
		t.Error("may not speak in its term, or in the dark")
	}
	if m.judge(second, true, nil, era) || m.judge(store.Term{}, false, errAway, era) {
		t.Error("speaks after its term")
	}
	m.term = &second
	m.book.speak(true, time.Now())
	if m.judge(second, true, nil, era) || !m.judge(second, true, nil, m.book.era) {
		t.Error("the old job goes on, or the new one does not")
	}
}
