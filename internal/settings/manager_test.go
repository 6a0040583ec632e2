package settings_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/settings"
)

// database is one document that can be away.
type database struct {
	mu       sync.Mutex
	document []byte
	saves    int
	readErr  error
	writeErr error
}

func (d *database) LoadSettings(context.Context) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Clone(d.document), d.readErr
}

func (d *database) SaveSettings(_ context.Context, b []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writeErr != nil {
		return d.writeErr
	}
	d.document, d.saves = bytes.Clone(b), d.saves+1
	return nil
}

func (d *database) fail(read, write error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readErr, d.writeErr = read, write
}

func start(t *testing.T, db *database, initial settings.Settings) *settings.Manager {
	t.Helper()
	m := settings.NewManager(initial, db, slog.New(slog.DiscardHandler))
	if err := m.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

func update(t *testing.T, m *settings.Manager, patch string) settings.Settings {
	t.Helper()
	s, err := m.Update(t.Context(), []byte(patch))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAChangeSurvivesARestartAndNothingElseIsKept(t *testing.T) {
	db := &database{}
	m := start(t, db, settings.Defaults())
	s := update(t, m, `{"buffer_size":500,"sample_rates":{"custom":0.5},"thresholds":{"slow_request_ms":100}}`)
	if s.BufferSize != 500 || m.Current().BufferSize != 500 {
		t.Fatalf("not applied: %+v", s)
	}
	update(t, m, `{"thresholds":{"high_cpu_percent":50},"sample_rates":{"page_view":0.1}}`)

	initial := settings.Defaults() // of another configuration file
	initial.FlushInterval = 5 * time.Second
	initial.BufferSize = 7
	initial.Thresholds.HighDiskPercent = 33
	s = start(t, db, initial).Current()
	want := settings.Thresholds{SlowRequestMS: 100, HighMemoryPercent: 85, HighCPUPercent: 50, HighDiskPercent: 33}
	if s.BufferSize != 500 || s.FlushInterval != 5*time.Second || s.Thresholds != want ||
		s.SampleRates["custom"] != 0.5 || s.SampleRates["page_view"] != 0.1 {
		t.Errorf("after a restart: %+v", s)
	}
}

func TestNothingIsAppliedOrKeptWhenInvalid(t *testing.T) {
	db := &database{}
	m := start(t, db, settings.Defaults())
	m.Watch(func(_, _ settings.Settings) { t.Error("a refused change was announced") })
	s, err := m.Update(t.Context(), []byte(`{"buffer_size":5,"flush_interval":0}`))
	if !errs.Is(err, errs.Invalid) || s.BufferSize != 100 || m.Current().BufferSize != 100 || db.saves != 0 {
		t.Errorf("%+v, %v, %d saves", s, err, db.saves)
	}
}

func TestNothingIsAppliedWhenItCannotBeKept(t *testing.T) {
	down := errors.New("database is down")
	for name, db := range map[string]*database{"reading": {}, "writing": {}} {
		m := start(t, db, settings.Defaults())
		if name == "reading" {
			db.fail(down, nil)
		} else {
			db.fail(nil, down)
		}
		_, err := m.Update(t.Context(), []byte(`{"buffer_size":5}`))
		if !errs.Is(err, errs.Unavailable) || !errors.Is(err, down) || m.Current().BufferSize != 100 {
			t.Errorf("%s: %v, buffer size %d", name, err, m.Current().BufferSize)
		}
		db.fail(nil, nil)
		if update(t, m, `{"buffer_size":5}`).BufferSize != 5 {
			t.Errorf("%s: no change after the database came back", name)
		}
	}
}

func TestWatchersSeeEveryChangeOnceInOrder(t *testing.T) {
	db := &database{}
	m := start(t, db, settings.Defaults())
	var seen []string
	m.Watch(func(old, new settings.Settings) {
		seen = append(seen, fmt.Sprintf("%d→%d", old.BufferSize, new.BufferSize))
		if m.Current().BufferSize != new.BufferSize {
			t.Error("a watcher is called before the change applies")
		}
	})
	update(t, m, `{"buffer_size":5}`)
	update(t, m, `{"buffer_size":5}`)
	update(t, m, `{}`)
	update(t, m, `{"buffer_size":6}`)
	if got := strings.Join(seen, " "); got != "100→5 5→6" || db.saves != 2 {
		t.Errorf("watcher saw %q, %d saves", got, db.saves)
	}
}

func TestConcurrentUpdatesAllCount(t *testing.T) {
	db := &database{}
	m := start(t, db, settings.Defaults())
	types := []string{"page_view", "user_interaction", "api_request", "api_error", "operation_timing", "system_metric", "custom"}
	var wg sync.WaitGroup
	for _, name := range types {
		wg.Go(func() {
			for i := range 20 {
				patch := fmt.Sprintf(`{"sample_rates":{%q:%g}}`, name, float64(i+1)/20)
				if _, err := m.Update(t.Context(), []byte(patch)); err != nil {
					t.Error(err)
				}
				_ = m.Current().SampleRates[name]
			}
		})
	}
	wg.Wait()
	for _, s := range []settings.Settings{m.Current(), start(t, db, settings.Defaults()).Current()} {
		for _, name := range types {
			if s.SampleRates[name] != 1 {
				t.Errorf("the last rate of %s is %v", name, s.SampleRates[name])
			}
		}
		if len(s.SampleRates) != len(types) {
			t.Errorf("rates: %v", s.SampleRates)
		}
	}
}

func TestAnUpdateThatWaitsEndsWithItsContext(t *testing.T) {
	db := &database{}
	m := start(t, db, settings.Defaults())
	ctx, cancel := context.WithCancel(t.Context())
	m.Watch(func(_, _ settings.Settings) {
		cancel()
		_, err := m.Update(ctx, []byte(`{"buffer_size":6}`)) // the outer one holds the lock
		if !errs.Is(err, errs.Unavailable) {
			t.Errorf("a waiting update: %v", err)
		}
	})
	update(t, m, `{"buffer_size":5}`)
}

func TestReplicasSeeEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &database{}
		one, two := start(t, db, settings.Defaults()), start(t, db, settings.Defaults())
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { two.Run(ctx) })
		defer wg.Wait()
		defer cancel()

		update(t, one, `{"buffer_size":5}`)
		time.Sleep(4 * time.Second) // synctest's clock
		synctest.Wait()
		if two.Current().BufferSize != 5 {
			t.Errorf("the other replica is at %d", two.Current().BufferSize)
		}
		update(t, one, `{"enabled":false}`)
		if s := update(t, two, `{"debug_mode":true}`); s.Enabled || !s.DebugMode || s.BufferSize != 5 {
			t.Errorf("a change undid another replica's: %+v", s)
		}
		db.fail(errors.New("down"), nil)
		time.Sleep(10 * time.Second)
		db.fail(nil, nil)
		update(t, one, `{"buffer_size":9}`)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if two.Current().BufferSize != 9 {
			t.Error("no refresh after the database came back")
		}
	})
}

func TestKeptSettingsThatDoNotFitAreLeftAside(t *testing.T) {
	for kept, size := range map[string]int{
		`{"buffer_size":5,"from_the_future":{"a":1},"flush_interval":"never"}`: 5,
		`{"buffer_size":`: 100,
		``:                100,
	} {
		db := &database{document: []byte(kept)}
		var log bytes.Buffer
		m := settings.NewManager(settings.Defaults(), db, slog.New(slog.NewTextHandler(&log, nil)))
		for range 3 {
			if err := m.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if m.Current().BufferSize != size || m.Current().FlushInterval != time.Second {
			t.Errorf("%q: %+v", kept, m.Current())
		}
		if lines := strings.Count(log.String(), "left aside"); (lines > 0) != (kept != "") || lines > 2 {
			t.Errorf("%q: logged %q", kept, log.String())
		}
		update(t, m, `{"debug_mode":true}`)
		if strings.Contains(kept, "future") && !strings.Contains(string(db.document), `"from_the_future":{"a":1}`) {
			t.Errorf("a newer version's setting was dropped: %s", db.document)
		}
		if !start(t, db, settings.Defaults()).Current().DebugMode {
			t.Errorf("%q: a change after it was not kept", kept)
		}
	}
}

func TestCurrentIsFree(t *testing.T) {
	m := settings.NewManager(settings.Defaults(), &database{}, slog.New(slog.DiscardHandler))
	if n := testing.AllocsPerRun(100, func() { _ = m.Current() }); n != 0 {
		t.Errorf("Current allocates %v times", n)
	}
}
