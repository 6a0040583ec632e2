package perf

import (
	"slices"
	"sync"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

// window is one operation over the last slices of time. The running slice has a sketch; a
// closed one is packed into a few hundred bytes, since hundreds of operations keep many each.
type window struct {
	mapping mapping.IndexMapping

	mu      sync.Mutex
	epoch   int64 // number of the running slice
	running slice
	sketch  *ddsketch.DDSketch // of the running slice; nil until something is recorded
	closed  []slice            // ring, by epoch modulo its length; zero where nothing was recorded
	total   uint64             // recorded ever
}

type slice struct {
	epoch int64
	summary
	packed []byte // the sketch; never changed once set
}

func newWindow(m mapping.IndexMapping, slices int, epoch int64) *window {
	return &window{mapping: m, closed: make([]slice, slices-1), epoch: epoch}
}

func (w *window) record(epoch int64, d time.Duration, failed bool) {
	ms := float64(max(d, 0)) / float64(time.Millisecond)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rotate(epoch)
	if w.sketch == nil {
		w.sketch = newSketch(w.mapping)
	}
	if w.sketch.Add(ms) == nil { // no duration is out of a sketch's range
		w.running.record(ms, failed)
		w.total++
	}
}

// rotate closes the running slice when epoch is past it. A clock that steps back stays in it.
func (w *window) rotate(epoch int64) {
	if epoch <= w.epoch {
		return
	}
	if w.running.count > 0 && len(w.closed) > 0 {
		w.running.epoch = w.epoch
		w.sketch.Encode(&w.running.packed, true)
		w.running.packed = slices.Clone(w.running.packed) // drops the spare capacity
		w.closed[w.epoch%int64(len(w.closed))] = w.running
	}
	w.epoch, w.running, w.sketch = epoch, slice{}, nil
	for i := range w.closed {
		if w.closed[i].epoch < w.oldest() {
			w.closed[i] = slice{}
		}
	}
}

// oldest is the first epoch that is still within the window.
func (w *window) oldest() int64 { return w.epoch - int64(len(w.closed)) }

// stats merges what is within the window at epoch; unpacking happens outside of the lock.
func (w *window) stats(epoch int64) (OperationStats, error) {
	w.mu.Lock()
	w.rotate(epoch)
	all, parts := w.running.summary, slices.Clone(w.closed)
	var sketch *ddsketch.DDSketch
	if w.sketch != nil {
		sketch = w.sketch.Copy()
	}
	w.mu.Unlock()
	if sketch == nil {
		sketch = newSketch(w.mapping)
	}
	for _, part := range parts {
		if part.count == 0 {
			continue
		}
		all.merge(part.summary)
		if err := sketch.DecodeAndMergeWith(part.packed); err != nil {
			return OperationStats{}, err
		}
	}
	return all.stats(sketch)
}

func (w *window) recorded() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.total
}

// newSketch has pages for what is positive; no duration is negative, so that store stays empty.
func newSketch(m mapping.IndexMapping) *ddsketch.DDSketch {
	return ddsketch.NewDDSketch(m, store.NewBufferedPaginatedStore(), store.NewDenseStore())
}
