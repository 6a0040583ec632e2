//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"time"
)

const (
	users     = 100_000
	jitter    = 10 * time.Second // clients' clocks are behind by up to this
	drawn     = 1 << 18          // values of the prepared distribution of users
	sessionIn = 30 * 60          // seconds after which a user's next event begins a new session
)

// The values that are written over before each sending; they keep their lengths.
const (
	sampleID      = "00000000-0000-7000-8000-000000000000"
	sampleTime    = "2006-01-02T15:04:05.000Z"
	sampleUser    = "user-000000"
	sampleSession = "sess-0000000000000000"
	samplePath    = "/item/10000"
	sampleAmount  = "100.00"
	sampleTook    = `"took_ms":1000`
)

// slot is where one event's changing values stand in a text that is sent again and again.
type slot struct{ id, time, user, session, path, amount, took int }

// appendEvent appends one event in the short form and says where its changing values are.
func appendEvent(to []byte, k kind, plan, country, device, source string) ([]byte, slot) {
	start := len(to)
	to = append(to, `{"event":"`+k.name+`","event_type":"`+k.eventType+`","event_id":"`+sampleID+`","timestamp":"`+sampleTime+
		`","user_id":"`+sampleUser+`","session_id":"`+sampleSession+`","severity":"`+k.severity+
		`","properties":{"path":"`+samplePath+`","plan":"`+plan+`","country":"`+country+`","device":"`+device+`","amount":`+sampleAmount+`,`+sampleTook+
		`},"tags":["shop"],"source":"`+source+`"}`...)
	find := func(sample string) int { return start + bytes.Index(to[start:], []byte(sample)) }
	return to, slot{
		id: find(sampleID), time: find(sampleTime), user: find(sampleUser) + len("user-"),
		session: find(sampleSession) + len("sess-"), path: find(samplePath) + len("/item/"),
		amount: find(sampleAmount), took: find(sampleTook) + len(`"took_ms":`),
	}
}

// crowd draws what differs from event to event. It belongs to one goroutine.
type crowd struct {
	random *rand.Rand
	users  []uint32
	clock  func() time.Time
	second [32]struct {
		unix int64
		text [len("2006-01-02T15:04:05")]byte
	}
}

func newCrowd(clock func() time.Time) *crowd {
	c := &crowd{random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), users: make([]uint32, drawn), clock: clock}
	for i := range c.users {
		c.users[i] = uint32(zipf((float64(i)+0.5)/drawn, users))
	}
	return c
}

// zipf maps a uniform number to a rank below n whose frequency falls with one over the rank.
func zipf(uniform float64, n int) int { return int(math.Pow(float64(n), uniform)) % n }

// rank draws a rank from 0 to n-1, the first the most frequent.
func (c *crowd) rank(n int) int { return zipf(c.random.Float64(), n+1) - 1 }

// event appends an event with a drawn name.
func (c *crowd) event(to []byte) ([]byte, slot) {
	country := countries[2*c.rank(len(countries)/2):][:2]
	return appendEvent(to, kinds[c.rank(len(kinds))], plans[c.rank(len(plans))], country, devices[c.rank(len(devices))], sources[c.rank(len(sources))])
}

// patch gives the event at s a new id, time, user, session and numbers.
func (c *crowd) patch(text []byte, s slot, now time.Time) {
	a, b := c.random.Uint64(), c.random.Uint64()
	when := now.UnixMilli() - int64(a>>40)%jitter.Milliseconds()
	user := c.users[a%drawn]
	putID(text[s.id:], when, c.random.Uint64(), b)
	c.putTime(text[s.time:], when)
	putDecimal(text[s.user:s.user+6], uint64(user))
	// One session of a user lasts a while; mixing spreads the numbers over all 64 bits.
	putHex(text[s.session:], mix(uint64(user)<<32|uint64(when/1000/sessionIn)))
	putDecimal(text[s.path:s.path+5], 10_000+a>>18%90_000)
	putDecimal(text[s.amount:s.amount+3], 100+b>>8%900)
	putDecimal(text[s.amount+4:s.amount+6], b>>24%100)
	putDecimal(text[s.took:s.took+4], 1000+b>>40%9000)
}

// putID writes a UUIDv7 of the client's clock: 48 bits of time, 74 of chance.
func putID(to []byte, ms int64, a, b uint64) {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(ms)<<16|0x7000|a&0x0fff)
	binary.BigEndian.PutUint64(id[8:], b&^(3<<62)|2<<62)
	at := 0
	for i, x := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			at++ // the hyphen stands already
		}
		to[at], to[at+1] = digits[x>>4], digits[x&15]
		at += 2
	}
}

// putTime writes a time to the millisecond. The part down to the second is kept from call to call.
func (c *crowd) putTime(to []byte, ms int64) {
	unix := ms / 1000
	s := &c.second[unix%int64(len(c.second))]
	if s.unix != unix {
		s.unix = unix
		time.Unix(unix, 0).UTC().AppendFormat(s.text[:0], "2006-01-02T15:04:05")
	}
	copy(to, s.text[:])
	putDecimal(to[len(s.text)+1:len(s.text)+4], uint64(ms%1000))
}

const digits = "0123456789abcdef"

func putDecimal(to []byte, n uint64) {
	for i := len(to) - 1; i >= 0; i-- {
		to[i] = digits[n%10]
		n /= 10
	}
}

func putHex(to []byte, n uint64) {
	for i := range 16 {
		to[i] = digits[n>>(60-4*i)&15]
	}
}

// mix is the finaliser of splitmix64.
func mix(n uint64) uint64 {
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
