package destination

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"go.opentelemetry.io/otel/log"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/outbound"
)

// sender delivers events to one service. An error is a *failure, or a *partial.
type sender interface {
	send(ctx context.Context, events []event.Event) (answer string, err error)
	close()
}

// failure is why a delivery did not succeed, without secrets.
type failure struct {
	cause      string
	refused    bool // for good, because of what was sent: trying the same again does not help
	retryAfter time.Duration
}

func (f *failure) Error() string { return f.cause }

// partial is a delivery of which the service refused some events, without saying which.
type partial struct {
	answer  string
	refused int64
}

func (p *partial) Error() string { return p.answer }

const (
	longestWish = 5 * time.Minute // that a service may ask us to wait
	shownAnswer = 300             // characters of an answer that people see
)

// newSender makes the sender of a configuration that was checked.
func newSender(c *Config, record func(*event.Event) log.Record, now func() time.Time) sender {
	switch c.Kind {
	case NATS:
		return newNATS(c)
	case Kafka:
		return newKafka(c)
	}
	h := newHTTPSender(c)
	switch c.Kind {
	case Segment:
		h.encode = segmentBody(now)
		h.user = c.Secrets.Token
	case PostHog:
		h.encode = postHogBody(c.Secrets.Token)
	case OTLP:
		h.encode, h.contentType = otlpBody(record), "application/x-protobuf"
		h.accepted = otlpAnswer(h.quoter)
		h.bearer = c.Secrets.Token
	default:
		h.bearer = c.Secrets.Token
		h.key, _ = outbound.SigningKey(c.Secrets.Secret) // checked before
		h.signs, h.now = true, now
		h.encode, h.contentType = cloudEventsBody, "application/cloudevents-batch+json"
		if c.Format == JSON {
			h.encode, h.contentType = jsonBody, "application/json"
		}
	}
	return h
}

// batchID is the same for every try at the same events.
func batchID(events []event.Event) string {
	h := sha256.New()
	for i := range events {
		h.Write([]byte(events[i].ID))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
