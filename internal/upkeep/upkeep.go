package upkeep

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// Database is what upkeep needs of the store.
type Database interface {
	Expire(ctx context.Context, before time.Time, limit int) (int64, error)
	ExpireRollups(ctx context.Context) (int64, error)
	Settle(ctx context.Context) error
	Size(ctx context.Context) (store.Size, error)
	Compact(ctx context.Context) error
	OldestErasure(ctx context.Context) (time.Time, error)
	Lease(ctx context.Context, name string) (release func(), ok bool, err error)
}

// Config is what an Upkeep is made of. Database, Now and Logger are required.
type Config struct {
	Database Database
	MaxAge   time.Duration // events whose timestamp is older go; 0 = none
	MaxBytes int64         // above so many bytes of events the oldest go; 0 = none
	// CompactAfter is how long erased persons' bytes may stay in the files; 0 = until Once is asked for it.
	CompactAfter time.Duration
	Now          func() time.Time
	Logger       *slog.Logger
}

// Report is what one round did.
type Report struct {
	Expired   int64 `json:"expired" doc:"Events deleted because of their age"`
	Trimmed   int64 `json:"trimmed" doc:"Events deleted because of the size of all"`
	Rollups   int64 `json:"rollups" doc:"Rows of roll-ups deleted because of their age"`
	Compacted bool  `json:"compacted" doc:"The files were written anew"`
}

const (
	every     = time.Hour
	measure   = time.Minute
	stepSize  = 10_000
	stepRest  = 50 * time.Millisecond // between steps, for those who store
	leaseName = "tidemark.upkeep"
	// slack is how far below the bound a trim goes, so that not every round has to.
	slackPercent = 2
)

// Upkeep does the rounds.
type Upkeep struct {
	cfg  Config
	mu   sync.Mutex // held during a round
	size atomic.Pointer[store.Size]
}

// New returns an Upkeep that does nothing before Run or Once.
func New(cfg Config) *Upkeep { return &Upkeep{cfg: cfg} }

// Size is the size of the events as measured within the last minutes; false until it is known.
func (u *Upkeep) Size() (store.Size, bool) {
	if z := u.size.Load(); z != nil {
		return *z, true
	}
	return store.Size{}, false
}

// Run measures every minute and does a round every hour, until ctx ends.
func (u *Upkeep) Run(ctx context.Context) {
	tick := time.NewTicker(measure)
	defer tick.Stop()
	u.measure(ctx)
	for next := u.cfg.Now().Add(every); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		u.measure(ctx)
		if u.cfg.Now().Before(next) {
			continue
		}
		next = u.cfg.Now().Add(every)
		if _, err := u.Once(ctx, false); err != nil && ctx.Err() == nil {
			u.cfg.Logger.Warn("keeping the database within its bounds", "cause", err)
		}
	}
}

func (u *Upkeep) measure(ctx context.Context) {
	z, err := u.cfg.Database.Size(ctx)
	if err != nil {
		u.cfg.Logger.Debug("the size of the database is not known", "cause", err)
		return
	}
	u.size.Store(&z)
}

// Once does one round, and with compact has the files written anew in any case. Of several
// processes on one database one does a round, the others do nothing.
func (u *Upkeep) Once(ctx context.Context, compact bool) (r Report, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	release, ok, err := u.cfg.Database.Lease(ctx, leaseName)
	if err != nil {
		return r, err
	}
	if !ok {
		if compact {
			return r, errs.New(errs.Conflict, "another process is at work on this database")
		}
		return r, nil
	}
	defer release()
	if r.Expired, err = u.expire(ctx); err != nil {
		return r, err
	}
	if r.Trimmed, compact, err = u.trim(ctx, compact); err != nil {
		return r, err
	}
	if r.Rollups, err = u.expireRollups(ctx); err != nil {
		return r, err
	}
	if !compact {
		if compact, err = u.erasureWaits(ctx); err != nil {
			return r, err
		}
	}
	if compact {
		if err := u.cfg.Database.Compact(ctx); err != nil {
			return r, err
		}
		r.Compacted = true
	}
	if r != (Report{}) {
		u.cfg.Logger.Info("upkeep", "expired", r.Expired, "trimmed", r.Trimmed, "rollups", r.Rollups, "compacted", r.Compacted)
	}
	u.measure(ctx)
	return r, nil
}

// expire deletes by age.
func (u *Upkeep) expire(ctx context.Context) (int64, error) {
	if u.cfg.MaxAge <= 0 {
		return 0, nil
	}
	n, err := u.delete(ctx, u.cfg.Now().Add(-u.cfg.MaxAge), -1)
	if err == nil && n > 0 {
		err = u.cfg.Database.Settle(ctx)
	}
	return n, err
}

// trim deletes by size. Where the files do not get smaller by it as far as they should, they are to
// be compacted: else the next round would delete for the same reason again.
func (u *Upkeep) trim(ctx context.Context, compact bool) (int64, bool, error) {
	if u.cfg.MaxBytes <= 0 {
		return 0, compact, nil
	}
	if err := u.cfg.Database.Settle(ctx); err != nil {
		return 0, compact, err
	}
	z, err := u.cfg.Database.Size(ctx)
	if err != nil || z.Live <= u.cfg.MaxBytes || z.Events == 0 {
		return 0, compact, err
	}
	target := u.cfg.MaxBytes / 100 * (100 - slackPercent)
	excess := int64(float64(z.Events) * float64(z.Live-target) / float64(z.Live))
	n, err := u.delete(ctx, u.cfg.Now(), max(excess, 1))
	if err != nil {
		return n, compact, err
	}
	if n == 0 {
		u.cfg.Logger.Warn("the events take more room than they may, and all of them are too new to be deleted",
			"bytes", z.Live, "max_bytes", u.cfg.MaxBytes)
		return 0, compact, nil
	}
	if err := u.cfg.Database.Settle(ctx); err != nil {
		return n, compact, err
	}
	z, err = u.cfg.Database.Size(ctx)
	return n, compact || z.Live > u.cfg.MaxBytes, err
}

// delete deletes step by step until nothing is left to delete or most are; most < 0 = all.
func (u *Upkeep) delete(ctx context.Context, before time.Time, most int64) (n int64, err error) {
	for most < 0 || n < most {
		step := int64(stepSize)
		if most >= 0 {
			step = min(step, most-n)
		}
		deleted, err := u.cfg.Database.Expire(ctx, before, int(step))
		n += deleted
		if err != nil || deleted < step {
			return n, err
		}
		if err := rest(ctx); err != nil {
			return n, err
		}
	}
	return n, nil
}

// expireRollups deletes what roll-ups have that is older than they are kept.
func (u *Upkeep) expireRollups(ctx context.Context) (n int64, err error) {
	for {
		deleted, err := u.cfg.Database.ExpireRollups(ctx)
		n += deleted
		if err != nil || deleted == 0 {
			return n, err
		}
		if err := rest(ctx); err != nil {
			return n, err
		}
	}
}

func rest(ctx context.Context) error {
	timer := time.NewTimer(stepRest)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// erasureWaits reports whether an erasure has waited long enough for the files to be written anew.
func (u *Upkeep) erasureWaits(ctx context.Context) (bool, error) {
	if u.cfg.CompactAfter <= 0 {
		return false, nil
	}
	oldest, err := u.cfg.Database.OldestErasure(ctx)
	return err == nil && !oldest.IsZero() && u.cfg.Now().Sub(oldest) >= u.cfg.CompactAfter, err
}
