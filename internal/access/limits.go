package access

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// maxRetryAfter bounds what a client is told to wait.
const maxRetryAfter = time.Hour

// Rate is how much may happen per second in the long run, and at once. Zero is no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

func (r Rate) off() bool { return r == Rate{} }

func (r Rate) validate() error {
	if r.off() {
		return nil
	}
	if !(r.PerSecond > 0) || math.IsInf(r.PerSecond, 0) || r.Burst < 1 {
		return errors.New("access: a rate limit needs a rate above 0 and a burst of at least 1")
	}
	return nil
}

func (r Rate) limiter() *rate.Limiter {
	if r.off() {
		return nil
	}
	return rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)
}

// Admit charges p and its address for n: 1 for a request, or the number of events in it. Kind
// RateLimited with RetryAfter when either has used up its share; then neither is charged. More
// than a burst at once is let in when the bucket is full, and paid for afterwards.
func (a *Access) Admit(r *http.Request, p Principal, n int) error {
	if p.Local || n < 1 || (p.bucket == nil && a.addresses == nil) {
		return nil
	}
	now := a.config.Now()
	key := reserve(p.bucket, n, now)
	if key.wait > 0 {
		return tooMany("too many requests or events with this key", key.wait)
	}
	if wait := a.addresses.take(a.ClientAddr(r), n, now); wait > 0 {
		key.cancel(now)
		return tooMany("too many requests or events from this address", wait)
	}
	key.charge(now)
	return nil
}

func tooMany(detail string, wait time.Duration) error {
	seconds := time.Duration(math.Ceil(wait.Seconds())) * time.Second
	return &errs.Error{Kind: errs.RateLimited, Detail: detail, RetryAfter: min(max(seconds, time.Second), maxRetryAfter)}
}

// reservation is the first part of a charge, at most a burst of it, and what is left.
type reservation struct {
	limiter *rate.Limiter
	first   *rate.Reservation
	left    int
	wait    time.Duration // above 0 = refused, and nothing taken
}

func reserve(l *rate.Limiter, n int, now time.Time) reservation {
	if l == nil {
		return reservation{}
	}
	part := min(n, l.Burst())
	first := l.ReserveN(now, part)
	res := reservation{limiter: l, first: first, left: n - part, wait: first.DelayFrom(now)}
	if res.wait > 0 {
		first.CancelAt(now)
	}
	return res
}

func (res reservation) cancel(now time.Time) {
	if res.first != nil {
		res.first.CancelAt(now)
	}
}

// charge takes the rest, which puts the bucket into debt.
func (res reservation) charge(now time.Time) {
	for left := res.left; left > 0; left -= res.limiter.Burst() {
		res.limiter.ReserveN(now, min(left, res.limiter.Burst()))
	}
}

// buckets holds one limiter for each of the addresses seen last. A nil one limits nothing.
type buckets struct {
	rate Rate
	mu   sync.Mutex
	lru  *simplelru.LRU[netip.Addr, *rate.Limiter]
}

func newBuckets(r Rate, size int) (*buckets, error) {
	if r.off() {
		return nil, nil
	}
	lru, err := simplelru.NewLRU[netip.Addr, *rate.Limiter](size, nil)
	if err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	return &buckets{rate: r, lru: lru}, nil
}

// take charges an address for n, or returns how long it must wait.
func (b *buckets) take(addr netip.Addr, n int, now time.Time) (wait time.Duration) {
	if b == nil {
		return 0
	}
	res := reserve(b.limiter(addr), n, now)
	if res.wait > 0 {
		return res.wait
	}
	res.charge(now)
	return 0
}

func (b *buckets) limiter(addr netip.Addr) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	l, ok := b.lru.Get(addr)
	if !ok {
		l = b.rate.limiter()
		b.lru.Add(addr, l)
	}
	return l
}
