package access

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// How often Run reads the keys and writes when they were used, and how long either may take.
const (
	refreshEvery = 2 * time.Second
	flushEvery   = 30 * time.Second
	storeTimeout = 5 * time.Second
)

// KeyStore keeps keys. RevokeKey of an unknown id is of kind NotFound. TouchKeys moves last
// use forward only; ids it does not know are ignored.
type KeyStore interface {
	InsertKey(ctx context.Context, k store.Key) error
	Keys(ctx context.Context) ([]store.Key, error) // revoked ones too
	RevokeKey(ctx context.Context, id string, at time.Time) error
	TouchKeys(ctx context.Context, lastUsed map[string]time.Time) error
}

// Config is what New needs. The zero value of a rate is no limit.
type Config struct {
	Store  KeyStore
	Logger *slog.Logger
	Now    func() time.Time

	PerKey       Rate // admitted requests or events of one key
	PerAddress   Rate // admitted requests or events of one client address
	FailedAuth   Rate // requests with a missing or unknown key, of one client address
	MaxAddresses int  // addresses to remember, the latest; 0 = 10,000

	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed; none by default

	// KeyRequired refuses everybody while there are no keys: for a service that others reach,
	// which may have started before its database could say whether there are any.
	KeyRequired bool
}

// DefaultFailedAuth is the limit on failed authentications that the service starts with.
func DefaultFailedAuth() Rate { return Rate{PerSecond: 10, Burst: 50} }

// Access holds the keys and the rate limits.
type Access struct {
	config    Config
	keys      atomic.Pointer[snapshot] // nil until they were read once
	changes   chan struct{}            // holds one token: the right to read or change the stored keys
	refused   atomic.Uint64            // missing and unknown keys since the last log line
	addresses *buckets
	failures  *buckets
}

// New returns an Access that refuses everybody until Load has succeeded once.
func New(c Config) (*Access, error) {
	if c.Store == nil || c.Logger == nil || c.Now == nil {
		return nil, errors.New("access: a store, a logger and a clock are needed")
	}
	if c.MaxAddresses == 0 {
		c.MaxAddresses = 10_000
	}
	if c.MaxAddresses < 0 {
		return nil, errors.New("access: the number of addresses cannot be negative")
	}
	for _, rate := range []Rate{c.PerKey, c.PerAddress, c.FailedAuth} {
		if err := rate.validate(); err != nil {
			return nil, err
		}
	}
	addresses, err := newBuckets(c.PerAddress, c.MaxAddresses)
	if err != nil {
		return nil, err
	}
	failures, err := newBuckets(c.FailedAuth, c.MaxAddresses)
	if err != nil {
		return nil, err
	}
	return &Access{
		config: c, changes: make(chan struct{}, 1), addresses: addresses, failures: failures,
	}, nil
}

// Load reads the keys. On an error the ones read before stay.
func (a *Access) Load(ctx context.Context) error {
	if err := a.lock(ctx); err != nil {
		return err
	}
	defer a.unlock()
	_, err := a.load(ctx)
	return err
}

// Any reports whether keys exist, revoked ones included: whether a request needs one.
func (a *Access) Any() bool {
	s := a.keys.Load()
	return s != nil && s.any
}

// Known reports whether the keys were ever read; before that nobody is let in.
func (a *Access) Known() bool { return a.keys.Load() != nil }

// Run keeps the keys fresh until ctx ends, and then writes down when they were last used.
func (a *Access) Run(ctx context.Context) {
	refresh, flush := time.NewTicker(refreshEvery), time.NewTicker(flushEvery)
	defer refresh.Stop()
	defer flush.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			a.flush(context.WithoutCancel(ctx))
			return
		case <-flush.C:
			a.flush(ctx)
		case <-refresh.C:
			err := a.refresh(ctx)
			if ctx.Err() != nil || (err != nil) == failing {
				continue // say it once, not at every tick
			}
			failing = err != nil
			if failing {
				a.config.Logger.Warn("access keys cannot be read; the last known ones apply", "error", err)
			} else {
				a.config.Logger.Info("access keys can be read again")
			}
		}
	}
}

func (a *Access) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return a.Load(ctx)
}

// flush writes when keys were last used, and says how many requests were refused.
func (a *Access) flush(ctx context.Context) {
	if n := a.refused.Swap(0); n > 0 {
		a.config.Logger.Info("requests without a valid key were refused", "count", n)
	}
	s := a.keys.Load()
	if s == nil {
		return
	}
	used := s.unsaved()
	if len(used) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := a.config.Store.TouchKeys(ctx, used); err != nil {
		a.config.Logger.Debug("when keys were last used cannot be written now", "error", err)
		return // the next flush tries again
	}
	s.saved(used)
}

// load needs the lock.
func (a *Access) load(ctx context.Context) ([]store.Key, error) {
	keys, err := a.config.Store.Keys(ctx)
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, "the access keys cannot be read now", err)
	}
	a.keys.Store(newSnapshot(keys, a.keys.Load(), a.config.PerKey))
	return keys, nil
}

func (a *Access) lock(ctx context.Context) error {
	select {
	case a.changes <- struct{}{}:
		return nil
	case <-ctx.Done():
		return errs.Wrap(errs.Unavailable, "the access keys are being read or changed", ctx.Err())
	}
}

func (a *Access) unlock() { <-a.changes }
