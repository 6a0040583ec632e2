package upkeep

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/leaktest"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// shelf is a database of events, one an hour, of 100 bytes each. Stubborn files keep half of what
// deleted events took until they are compacted.
type shelf struct {
	oldest, newest time.Time
	protected      time.Time // nothing from here on is deleted
	stubborn       bool
	ghosts         int64
	largestStep    int64
	compacted      int
	erasure        time.Time
	taken          bool // the lease
	rollups        int64
}

func (s *shelf) events() int64 { return int64(s.newest.Sub(s.oldest) / time.Hour) }

func (s *shelf) Expire(_ context.Context, before time.Time, limit int) (int64, error) {
	var n int64
	for n < int64(limit) && s.oldest.Before(before) && s.oldest.Before(s.protected) && s.oldest.Before(s.newest) {
		s.oldest = s.oldest.Add(time.Hour)
		n++
	}
	if s.stubborn {
		s.ghosts += n
	}
	s.largestStep = max(s.largestStep, n)
	return n, nil
}

func (s *shelf) ExpireRollups(context.Context) (int64, error) {
	n := min(s.rollups, 200)
	s.rollups -= n
	return n, nil
}

func (s *shelf) Settle(context.Context) error { return nil }

func (s *shelf) Size(context.Context) (store.Size, error) {
	bytes := 100*s.events() + 50*s.ghosts
	return store.Size{Events: s.events(), Bytes: bytes, Live: bytes}, nil
}

func (s *shelf) Compact(context.Context) error {
	s.compacted++
	s.ghosts, s.erasure = 0, time.Time{}
	return nil
}

func (s *shelf) OldestErasure(context.Context) (time.Time, error) { return s.erasure, nil }

func (s *shelf) Lease(context.Context, string) (func(), bool, error) {
	return func() {}, !s.taken, nil
}

// years is a shelf of about ten years.
func years() *shelf {
	now := time.Now()
	return &shelf{oldest: now.Add(-87_600 * time.Hour), newest: now, protected: now.Add(-72 * time.Hour)}
}

func TestRounds(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		change  func(*Config, *shelf)
		compact bool
		want    Report
		left    int64 // events, -1 = all
	}{
		"nothing is configured":        {func(*Config, *shelf) {}, false, Report{}, -1},
		"by age":                       {func(c *Config, _ *shelf) { c.MaxAge = 90 * day }, false, Report{Expired: 87_600 - 2_160}, 2_160},
		"not within the window":        {func(c *Config, _ *shelf) { c.MaxAge = time.Hour }, false, Report{Expired: 87_600 - 72}, 72},
		"by size":                      {func(c *Config, _ *shelf) { c.MaxBytes = 1_000_000 }, false, Report{Trimmed: 87_600 - 9_800}, 9_800},
		"below the size":               {func(c *Config, _ *shelf) { c.MaxBytes = 10_000_000 }, false, Report{}, -1},
		"files that do not give":       {func(c *Config, s *shelf) { c.MaxBytes, s.stubborn = 1_000_000, true }, false, Report{Trimmed: 87_600 - 9_800, Compacted: true}, 9_800},
		"all too new":                  {func(c *Config, s *shelf) { c.MaxBytes, s.protected = 1, s.oldest }, false, Report{}, -1},
		"old roll-ups":                 {func(_ *Config, s *shelf) { s.rollups = 1_001 }, false, Report{Rollups: 1_001}, -1},
		"compact when asked":           {func(*Config, *shelf) {}, true, Report{Compacted: true}, -1},
		"an erasure may wait":          {func(c *Config, s *shelf) { c.CompactAfter, s.erasure = day, s.newest.Add(-time.Hour) }, false, Report{}, -1},
		"an erasure has waited":        {func(c *Config, s *shelf) { c.CompactAfter, s.erasure = day, s.newest.Add(-25*time.Hour) }, false, Report{Compacted: true}, -1},
		"an erasure may wait for ever": {func(_ *Config, s *shelf) { s.erasure = s.newest.Add(-25 * time.Hour) }, false, Report{}, -1},
		"another process is at it":     {func(c *Config, s *shelf) { c.MaxAge, s.taken = day, true }, false, Report{}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := years()
				now := time.Now()
				cfg := Config{Database: s, Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)}
				c.change(&cfg, s)
				u := New(cfg)
				got, err := u.Once(t.Context(), c.compact)
				if err != nil || got != c.want {
					t.Errorf("%+v, %v, want %+v", got, err, c.want)
				}
				if left := s.events(); c.left >= 0 && left != c.left || c.left < 0 && left != 87_600 {
					t.Errorf("%d events are left", left)
				}
				if s.largestStep > stepSize {
					t.Errorf("a step of %d", s.largestStep)
				}
				if s.taken {
					return
				}
				if again, err := u.Once(t.Context(), false); err != nil || again != (Report{}) {
					t.Errorf("the next round: %+v, %v", again, err)
				}
			})
		})
	}
}

func TestCompactionIsRefusedWhileAnotherIsAtIt(t *testing.T) {
	s := years()
	s.taken = true
	_, err := New(Config{Database: s, Now: time.Now, Logger: slog.New(slog.DiscardHandler)}).Once(t.Context(), true)
	if !errs.Is(err, errs.Conflict) {
		t.Errorf("%v", err)
	}
}

// TestRunGoesRound measures every minute and does a round every hour.
func TestRunGoesRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := years()
		u := New(Config{Database: s, MaxAge: 24 * time.Hour * 365, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); u.Run(ctx) }()
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if z, known := u.Size(); !known || z.Events != 87_600 {
			t.Errorf("after most of an hour: %+v, %t", z, known)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if z, _ := u.Size(); z.Events > 8_762 {
			t.Errorf("after an hour: %+v", z)
		}
		cancel()
		<-done
	})
}
