package destination

import (
	"math/rand/v2"
	"time"
)

const breakAfter = 5 // failures in a row

// pauses are how long to wait after failures: at first, when the breaker opens, and at most.
type pauses struct{ first, open, longest time.Duration }

func defaultPauses() pauses {
	return pauses{first: 200 * time.Millisecond, open: 10 * time.Second, longest: time.Minute}
}

// breaker says how long to wait after failures in a row. The first few are taken for a hiccup; after
// that it is open: the service is left alone but for one try now and then, whose success closes it.
type breaker struct {
	pauses   pauses
	failures int
}

func (b *breaker) open() bool { return b.failures >= breakAfter }
func (b *breaker) succeeded() { b.failures = 0 }

// failed returns the pause before the next try: what the service wishes, or a jittered one that grows.
func (b *breaker) failed(wish time.Duration) time.Duration {
	b.failures++
	pause := b.pauses.first << min(b.failures-1, 8)
	if b.open() {
		pause = min(b.pauses.open<<min(b.failures-breakAfter, 8), b.pauses.longest)
	}
	pause = pause/2 + rand.N(pause/2+1)
	return max(pause, wish)
}
