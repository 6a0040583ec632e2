package settings

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// How often Run looks for changes by other replicas, and how long one look may take.
const (
	refreshEvery   = 3 * time.Second
	refreshTimeout = 5 * time.Second
)

// Keeper keeps one document in the database. LoadSettings returns nil when none was saved.
type Keeper interface {
	LoadSettings(ctx context.Context) ([]byte, error)
	SaveSettings(ctx context.Context, document []byte) error
}

// Manager holds the current settings and changes them one update at a time.
type Manager struct {
	initial Settings
	keeper  Keeper
	log     *slog.Logger
	current atomic.Pointer[Settings]
	changes chan struct{} // holds one token: the right to change what follows
	kept    []byte        // the document last read or saved
	watches []func(old, new Settings)
}

// NewManager returns a Manager at the initial settings; Load adds what was changed at run time.
func NewManager(initial Settings, keeper Keeper, log *slog.Logger) *Manager {
	initial.SampleRates = maps.Clone(initial.SampleRates)
	m := &Manager{initial: initial, keeper: keeper, log: log, changes: make(chan struct{}, 1)}
	m.current.Store(&initial)
	return m
}

// Current returns the settings that apply now. It takes no lock; the map in it must not be changed.
func (m *Manager) Current() Settings { return *m.current.Load() }

// Watch has f called after every change, in order, before the change's Update or Refresh
// returns. f must be quick and must not call Update, Refresh, Load or Watch. Call Watch
// before the Manager is shared.
func (m *Manager) Watch(f func(old, new Settings)) { m.watches = append(m.watches, f) }

// Load lays what was kept over the initial settings. Kept settings that this version does not
// know or that are out of bounds are logged and left aside. Kind Unavailable when the database
// does not answer: then the settings stay as they are.
func (m *Manager) Load(ctx context.Context) error { return m.Refresh(ctx) }

// Refresh takes over what another replica has kept meanwhile.
func (m *Manager) Refresh(ctx context.Context) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.unlock()
	_, err := m.reload(ctx)
	return err
}

// Run refreshes every few seconds until ctx ends.
func (m *Manager) Run(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := m.refreshOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if (err != nil) != failing { // say it once, not at every tick
			failing = err != nil
			if failing {
				m.log.Warn("settings cannot be read; the last known ones apply", "error", err)
			} else {
				m.log.Info("settings can be read again")
			}
		}
	}
}

func (m *Manager) refreshOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	return m.Refresh(ctx)
}

// Update applies patch (see Settings.Apply) and returns what applies after it. It is validated
// whole, then kept, then applied; on any error nothing is applied. Kinds: Invalid, Malformed,
// TooLarge, and Unavailable when it cannot be kept. Should the database have kept it and lost
// the answer, Run applies it a moment later.
func (m *Manager) Update(ctx context.Context, patch []byte) (Settings, error) {
	change, err := parse(patch)
	if err != nil {
		return m.Current(), err
	}
	if _, faults := change.applyTo(m.initial); len(faults) > 0 {
		return m.Current(), invalid(faults)
	}
	if err := m.lock(ctx); err != nil {
		return m.Current(), err
	}
	defer m.unlock()
	// Start from what is kept now, or another replica's change would be undone.
	kept, err := m.reload(ctx)
	if err != nil {
		return m.Current(), err
	}
	merged, err := kept.merge(change)
	if err != nil {
		return m.Current(), err
	}
	text, err := json.Marshal(merged, json.Deterministic(true))
	if err != nil {
		return m.Current(), errs.Wrap(errs.Internal, "write the configuration", err)
	}
	if !bytes.Equal(text, m.kept) {
		if err := m.keeper.SaveSettings(ctx, text); err != nil {
			return m.Current(), errs.Wrap(errs.Unavailable, "the configuration cannot be kept now", err)
		}
		m.adopt(text, merged)
	}
	return m.Current(), nil
}

// reload reads the kept document, applies it where it is new, and returns it. It never
// returns a nil document without an error.
func (m *Manager) reload(ctx context.Context) (document, error) {
	text, err := m.keeper.LoadSettings(ctx)
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, "the configuration cannot be read now", err)
	}
	doc := document{}
	if len(text) > 0 {
		if doc, err = parse(text); err != nil {
			if !bytes.Equal(text, m.kept) {
				m.log.Error("the kept settings are unreadable and left aside", "error", err)
			}
			doc = document{}
		}
	}
	if !bytes.Equal(text, m.kept) {
		m.adopt(text, doc)
	}
	return doc, nil
}

// adopt makes doc, kept as text, the settings that apply.
func (m *Manager) adopt(text []byte, doc document) {
	next, faults := doc.applyTo(m.initial)
	for _, f := range faults {
		m.log.Warn("a kept setting is left aside", "setting", f.Location, "reason", f.Message)
	}
	m.kept = text
	old := *m.current.Load()
	if next.equal(old) {
		return
	}
	m.current.Store(&next)
	for _, f := range m.watches {
		f(old, next)
	}
}

func (m *Manager) lock(ctx context.Context) error {
	select {
	case m.changes <- struct{}{}:
		return nil
	case <-ctx.Done():
		return errs.Wrap(errs.Unavailable, "another change of the configuration is under way", ctx.Err())
	}
}

func (m *Manager) unlock() { <-m.changes }
