package perf

import (
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/DataDog/sketches-go/ddsketch/mapping"
)

// Other is the operation under which all are counted that come after MaxOperations.
const Other = "other"

// accuracy is how far a percentile may be from the exact one, relative to it.
const accuracy = 0.01

// Config bounds what Operations keeps. Zero fields take the default.
type Config struct {
	Window        time.Duration    // 15 min: nothing older is shown
	Slices        int              // 15: the window forgets in steps of Window/Slices
	MaxOperations int              // 500, Other not counted
	Now           func() time.Time // time.Now
	Logger        *slog.Logger     // required
}

// Operations keeps the statistics of every operation. Names must come from a closed set, such
// as METHOD and route: the first MaxOperations of them keep their place until Clear.
type Operations struct {
	config  Config
	slice   time.Duration
	start   time.Time
	mapping mapping.IndexMapping
	grow    sync.Mutex // held to change the map, which is copied for it
	windows atomic.Pointer[map[string]*window]
}

// NewOperations returns Operations without any.
func NewOperations(c Config) (*Operations, error) {
	if c.Window == 0 {
		c.Window = 15 * time.Minute
	}
	if c.Slices == 0 {
		c.Slices = 15
	}
	if c.MaxOperations == 0 {
		c.MaxOperations = 500
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil || c.Slices < 1 || c.MaxOperations < 1 || c.Window < time.Duration(c.Slices) {
		return nil, errors.New("perf: a logger, a window, slices and operations above zero are needed")
	}
	m, err := mapping.NewDefaultMapping(accuracy)
	if err != nil {
		return nil, err
	}
	o := &Operations{config: c, slice: c.Window / time.Duration(c.Slices), start: c.Now(), mapping: m}
	o.windows.Store(&map[string]*window{})
	return o, nil
}

// Record adds one operation that took d. It takes well under a microsecond; readers hold it up
// only while they copy one sketch.
func (o *Operations) Record(operation string, d time.Duration, failed bool) {
	epoch := o.epoch()
	windows := *o.windows.Load()
	w, ok := windows[operation]
	if !ok && len(windows) > o.config.MaxOperations {
		w, ok = windows[Other] // all places are taken, and Other's beside them
	}
	if !ok {
		w = o.add(operation, epoch)
	}
	w.record(epoch, d, failed)
}

// Stats returns all operations that were recorded since the start or Clear.
func (o *Operations) Stats() map[string]OperationStats {
	windows := *o.windows.Load()
	epoch := o.epoch()
	all := make(map[string]OperationStats, len(windows))
	for name, w := range windows {
		if stats, ok := o.stats(w, epoch); ok {
			all[name] = stats
		}
	}
	return all
}

// Operation returns one operation, false when it was never recorded.
func (o *Operations) Operation(name string) (OperationStats, bool) {
	w, ok := (*o.windows.Load())[name]
	if !ok {
		return OperationStats{}, false
	}
	return o.stats(w, o.epoch())
}

// Total is how many operations were recorded since the start or Clear.
func (o *Operations) Total() uint64 {
	var total uint64
	for _, w := range *o.windows.Load() {
		total += w.recorded()
	}
	return total
}

// Clear forgets everything, names included.
func (o *Operations) Clear() {
	o.grow.Lock()
	defer o.grow.Unlock()
	o.windows.Store(&map[string]*window{})
}

func (o *Operations) stats(w *window, epoch int64) (OperationStats, bool) {
	stats, err := w.stats(epoch)
	if err != nil { // only a sketch packed by another mapping: memory of ours is broken
		o.config.Logger.Error("the statistics of an operation cannot be read", "error", err)
		return OperationStats{}, false
	}
	return stats, true
}

// add makes room for an operation, or gives it to Other when there is none.
func (o *Operations) add(operation string, epoch int64) *window {
	o.grow.Lock()
	defer o.grow.Unlock()
	old := *o.windows.Load()
	if w, ok := old[operation]; ok {
		return w
	}
	other, named := old[Other], len(old)
	if other != nil {
		named--
	}
	if named >= o.config.MaxOperations {
		if other != nil {
			return other
		}
		operation = Other
	}
	windows := maps.Clone(old)
	w := newWindow(o.mapping, o.config.Slices, epoch)
	windows[operation] = w
	o.windows.Store(&windows)
	return w
}

// epoch numbers the running slice, from 1. The difference of two readings of the clock is
// monotonic, so setting the clock does not shift the window.
func (o *Operations) epoch() int64 { return int64(o.config.Now().Sub(o.start)/o.slice) + 1 }
