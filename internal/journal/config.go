package journal

import (
	"log/slog"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// Defaults of Config.
const (
	DefaultMaxBytes      = 4 << 30
	DefaultMaxAge        = 7 * 24 * time.Hour
	DefaultMinFree       = 64 << 20
	DefaultAppendTimeout = 5 * time.Second
)

// LeastMaxBytes is the smallest bound that leaves room for a request of the usual size.
const LeastMaxBytes = 1 << 20

// Config is what a Journal is made of.
type Config struct {
	URL           string              // nats://… of an external JetStream; empty = embedded
	Dir           string              // directory of the embedded one; nobody else may use it
	MaxBytes      int64               // bound of the stream; 0 = DefaultMaxBytes
	MaxAge        time.Duration       // nothing new while the oldest unsettled message is older; 0 = DefaultMaxAge
	MinFree       int64               // embedded: nothing new while the disk has less free; 0 = DefaultMinFree, < 0 = no reserve, else at least 8 MiB
	AppendTimeout time.Duration       // how long one append may take; 0 = DefaultAppendTimeout
	Replicas      int                 // external, when the stream is made; 0 = 3 in a cluster, else 1
	Writer        string              // id of this process, a fresh one at each start; empty = made here
	Logger        *slog.Logger        // required
	Now           func() time.Time    // required
	ObserveFsync  func(time.Duration) // told how long each message took to be on disk; may be nil
	Tracer        trace.Tracer        // makes the spans of appends; nil = none
}

// complete returns c with its defaults, or what is wrong with it.
func (c Config) complete() (Config, error) {
	if c.Logger == nil || c.Now == nil {
		return c, errs.New(errs.Internal, "journal: Logger and Now are required")
	}
	if c.URL == "" && c.Dir == "" {
		return c, errs.New(errs.Invalid, "journal: a directory or a URL is required")
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.MaxBytes < LeastMaxBytes {
		return c, errs.New(errs.Invalid, "journal: the bound must be at least 1 MiB")
	}
	if c.MaxAge == 0 {
		c.MaxAge = DefaultMaxAge
	}
	if c.MinFree == 0 {
		c.MinFree = DefaultMinFree
	}
	if c.AppendTimeout == 0 {
		c.AppendTimeout = DefaultAppendTimeout
	}
	if c.MaxAge < 0 || c.AppendTimeout < 0 || c.Replicas < 0 || c.Replicas > 5 {
		return c, errs.New(errs.Invalid, "journal: age, timeout and replicas must not be negative, replicas at most 5")
	}
	if c.Writer == "" {
		c.Writer = uuid.NewString()
	}
	if c.ObserveFsync == nil {
		c.ObserveFsync = func(time.Duration) {}
	}
	if c.Tracer == nil {
		c.Tracer = noop.Tracer{}
	}
	return c, nil
}
