package store

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/shirou/gopsutil/v3/process"
)

const (
	// mostGrowth is by how much the process may grow while a statement runs that takes memory which the
	// database does not count: for texts and lists that it makes as it goes, and for the values of an
	// exact percentile.
	mostGrowth = 512 << 20
	growthLook = 10 * time.Millisecond
)

// errGrown is why a statement was ended.
var errGrown = errors.New("the process grew too much")

// bounded returns a context that ends, with errGrown as its cause, when the process has grown too
// much. stop must be called.
func (s *Store) bounded(ctx context.Context) (_ context.Context, stop func()) {
	before, known := s.cfg.Resident()
	if !known {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(growthLook)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if now, _ := s.cfg.Resident(); now-before > mostGrowth {
				cancel(errGrown)
				return
			}
		}
	}()
	return ctx, func() { cancel(nil); <-done }
}

// resident is how many bytes of memory the process has; false where the system does not tell.
func resident() (int64, bool) {
	p, err := process.NewProcess(int32(os.Getpid()))
	if err != nil {
		return 0, false
	}
	m, err := p.MemoryInfo()
	if err != nil {
		return 0, false
	}
	return int64(m.RSS), true
}
