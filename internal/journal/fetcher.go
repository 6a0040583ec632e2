package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// fetcher takes messages from one pull consumer. One request is under way at a time, so that
// what lies here unread is bounded by one request.
type fetcher struct {
	link     *link
	consumer string
	sub      *nats.Subscription
	left     int  // messages that the request under way may still bring; 0 = none is under way
	came     bool // something came with it
	over     bool // the next message is larger than fetchBytes
}

func newFetcher(l *link, consumer string) (*fetcher, error) {
	sub, err := l.nc.SubscribeSync(l.nc.NewInbox())
	if err != nil {
		return nil, err
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil { // bounded by the requests
		return nil, errors.Join(err, sub.Unsubscribe())
	}
	return &fetcher{link: l, consumer: consumer, sub: sub}, nil
}

// ask requests messages: as many as fetchBytes hold, or one that is larger.
func (f *fetcher) ask() error {
	batch, most := fetchMessages, fetchBytes
	if f.over {
		batch, most = 1, max(fetchBytes, int(f.link.nc.MaxPayload())+headerRoom)
	}
	request, err := json.Marshal(map[string]any{
		"batch":          batch,
		"max_bytes":      most,
		"expires":        fetchExpires,
		"idle_heartbeat": fetchHeartbeat,
	})
	if err != nil {
		return err
	}
	to := "$JS.API.CONSUMER.MSG.NEXT." + streamName + "." + f.consumer
	if err := f.link.nc.PublishRequest(to, f.sub.Subject, request); err != nil {
		return err
	}
	f.left, f.came, f.over = batch, false, false
	return nil
}

// next returns the next message, until ctx ends. Any other error means that this fetcher is of
// no more use.
func (f *fetcher) next(ctx context.Context) (*nats.Msg, error) {
	for {
		if f.left == 0 {
			if err := f.ask(); err != nil {
				return nil, err
			}
		}
		msg, err := f.sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		if ours, err := f.sort(msg); ours || err != nil {
			return msg, err
		}
	}
}

// sort tells a message of the stream from a word of JetStream's own: that the request is over,
// or, as an error, that the consumer is gone.
func (f *fetcher) sort(msg *nats.Msg) (ours bool, err error) {
	status, description := msg.Header.Get("Status"), msg.Header.Get("Description")
	text := strings.ToLower(description)
	switch {
	case status == "" || len(msg.Data) > 0:
		f.left--
		f.came = true
		return true, nil
	case status == "100": // a heartbeat
	case status == "409" && strings.Contains(text, "batch completed") && !f.came:
		// It speaks of the request before, all of whose messages have come.
	case status == "404", status == "408",
		status == "409" && (strings.Contains(text, "maxbytes") || strings.Contains(text, "batch completed")):
		f.left = 0
		f.over = strings.Contains(text, "maxbytes") && !f.came
	default:
		return false, fmt.Errorf("JetStream says %s %s", status, description)
	}
	return false, nil
}

// close ends the subscription and has the consumer forgotten, if that can be said quickly.
func (f *fetcher) close() {
	if err := f.sub.Unsubscribe(); err != nil {
		return // the connection is gone, and the consumer goes by itself
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := f.link.stream.DeleteConsumer(ctx, f.consumer); err != nil {
		return // it goes by itself after consumerIdle
	}
}
