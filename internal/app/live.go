package app

import (
	"sync/atomic"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/httpapi"
	"github.com/tidemark-obs/tidemark/internal/settings"
)

// live is what a reload replaces while requests go on.
type live struct {
	settings *settings.Manager
	clamped  func()
	decoder  atomic.Pointer[eventjson.Decoder]
	self     atomic.Pointer[SelfEvents]
}

func newLive(cfg Config, s *settings.Manager, clamped func()) *live {
	l := &live{settings: s, clamped: clamped}
	l.apply(cfg)
	return l
}

func (l *live) apply(cfg Config) {
	l.decoder.Store(eventjson.NewDecoder(eventjson.Options{
		Limits: cfg.eventLimits(), Sensitive: cfg.Privacy.SensitiveKeys, KeepFullIP: cfg.Privacy.KeepFullIP,
		SlowMS: func() float64 { return l.settings.Current().Thresholds.SlowRequestMS },
		Now:    time.Now, Clamped: l.clamped,
	}))
	l.self.Store(&cfg.SelfEvents)
}

// DecodeAs, Elements and Object are those of the decoder in force.
func (l *live) DecodeAs(f eventjson.Form, raw []byte, e *event.Event) ([]errs.Field, error) {
	return l.decoder.Load().DecodeAs(f, raw, e)
}

// DecodeMoved is that of the decoder in force.
func (l *live) DecodeMoved(raw []byte, e *event.Event) ([]errs.Field, error) {
	return l.decoder.Load().DecodeMoved(raw, e)
}

func (l *live) Elements(raw []byte, yield func(i int, element []byte) bool) error {
	return l.decoder.Load().Elements(raw, yield)
}

func (l *live) Object(raw []byte) (event.Object, []errs.Field) { return l.decoder.Load().Object(raw) }

func (l *live) selfRates() httpapi.SelfRates { return httpapi.SelfRates(*l.self.Load()) }
