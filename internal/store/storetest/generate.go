package storetest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// Generator makes events as real clients send them: about 350 bytes, ids and timestamps out of
// order by up to five seconds. Perfectly ordered ones flatter every index.
type Generator struct {
	rand *rand.Rand
	now  time.Time
}

// NewGenerator returns a generator whose events begin at start. The same seed makes the same
// events.
func NewGenerator(seed uint64, start time.Time) *Generator {
	return &Generator{rand: rand.New(rand.NewPCG(seed, 0)), now: start.UTC().Truncate(time.Microsecond)}
}

// Events makes the next n events, ten microseconds of server time apart.
func (g *Generator) Events(n int) []event.Event {
	list := make([]event.Event, n)
	for i := range list {
		g.now = g.now.Add(10 * time.Microsecond)
		list[i] = g.event()
	}
	return list
}

func (g *Generator) event() event.Event {
	r := g.rand
	at := g.now.Add(-time.Duration(r.Int64N(int64(5 * time.Second)))).Truncate(time.Microsecond)
	return event.Event{
		ID: g.id(at), Name: fmt.Sprintf("event_%d", int(r.ExpFloat64()*20)), Type: event.Types[r.IntN(len(event.Types))],
		Timestamp: at, ReceivedAt: g.now,
		UserID: fmt.Sprintf("user-%d", r.IntN(200_000)), SessionID: fmt.Sprintf("session-%d", r.IntN(1_000_000)),
		Properties: fmt.Appendf(nil, `{"plan":"pro","amount":%d.50,"path":"/catalogue/%d","ok":true}`, r.IntN(100_000), r.IntN(5_000)),
		Severity:   event.Low, Tags: []string{"web", "beta"}, SampleRate: 1,
		Source: "web", UserAgent: "Mozilla/5.0 (X11; Linux x86_64)", IPAddress: fmt.Sprintf("10.%d.%d.0", r.IntN(256), r.IntN(256)),
	}
}

// id is a UUIDv7 of the client's time.
func (g *Generator) id(at time.Time) string {
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[:8], uint64(at.UnixMilli())<<16|g.rand.Uint64()&0xffff)
	binary.BigEndian.PutUint64(u[8:], g.rand.Uint64())
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return u.String()
}
