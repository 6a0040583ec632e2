package eventjson

import (
	"sync"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// Options is what a Decoder is made of. Limits is required.
type Options struct {
	Limits     event.Limits
	Sensitive  []string         // names whose values are masked; see DefaultSensitive
	KeepFullIP bool             // do not truncate ip_address
	SlowMS     func() float64   // milliseconds above which a performance event is severe; nil = never
	Now        func() time.Time // nil = time.Now
	Clamped    func()           // told of each event whose time was too far ahead and became now; nil = nobody
}

// Decoder reads events from clients. It is safe for concurrent use.
type Decoder struct {
	limits     event.Limits
	sensitive  sensitive
	keepFullIP bool
	slowMS     func() float64
	now        func() time.Time
	clamped    func()
	readers    sync.Pool
}

// NewDecoder returns a decoder.
func NewDecoder(o Options) *Decoder {
	d := &Decoder{
		limits: o.Limits, sensitive: newSensitive(o.Sensitive), keepFullIP: o.KeepFullIP,
		slowMS: o.SlowMS, now: o.Now, clamped: o.Clamped,
	}
	if d.now == nil {
		d.now = time.Now
	}
	d.readers.New = func() any { return &reader{Decoder: d} }
	return d
}

// reading lends f a reader that stands at the start of raw.
func (d *Decoder) reading(raw []byte, f func(*reader)) {
	r := d.readers.Get().(*reader)
	r.reset(raw)
	f(r)
	d.readers.Put(r)
}
