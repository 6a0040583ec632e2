package destination

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// natsStream is a stream of events and of what others publish.
type natsStream struct {
	testing.TB
	url    string
	js     jetstream.JetStream
	stream jetstream.Stream
}

func newNATSStream(t *testing.T, c jetstream.StreamConfig) *natsStream {
	t.Helper()
	server := natsServer(t, t.TempDir(), -1, true)
	t.Cleanup(func() { server.Shutdown(); server.WaitForShutdown() })
	s := &natsStream{TB: t, url: server.ClientURL()}
	nc, err := nats.Connect(s.url)
	s.ok(err)
	t.Cleanup(nc.Close)
	s.js, err = jetstream.New(nc)
	s.ok(err)
	c.Name, c.Subjects = "EVENTS", []string{"events", "others"}
	s.stream, err = s.js.CreateStream(t.Context(), c)
	s.ok(err)
	return s
}

func (s *natsStream) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// ids are those of the events in the stream, in its order.
func (s *natsStream) ids() []string {
	s.Helper()
	info, err := s.stream.Info(s.Context(), jetstream.WithSubjectFilter("events"))
	s.ok(err)
	c, err := s.js.OrderedConsumer(s.Context(), "EVENTS", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"events"}})
	s.ok(err)
	var ids []string
	for range info.State.Subjects["events"] {
		m, err := c.Next(jetstream.FetchMaxWait(time.Minute))
		s.ok(err)
		ids = append(ids, m.Headers().Get(nats.MsgIdHdr))
	}
	return ids
}

// A stream without room for one event, but for those after it, has them all in order in the end.
func TestNATSKeepsTheOrderOfWhatIsRefusedForAMoment(t *testing.T) {
	w, s := newWorld(t, 0), newNATSStream(t, jetstream.StreamConfig{MaxBytes: 100_000, Discard: jetstream.DiscardNew})
	_, err := s.js.Publish(t.Context(), "others", make([]byte, 85_000))
	w.ok(err)
	var want []string
	w.put(Settings{Name: "n", Kind: NATS, URL: s.url, Subject: "events", Enabled: new(bool)}, Secrets{})
	for n := range 20 { // which is a batch
		e := eventOf(n)
		if n == 5 {
			e.Properties = event.Object(`{"text":"` + strings.Repeat("x", 20_000) + `"}`)
		}
		want = append(want, e.ID)
		w.accept(e)
	}
	_, err = w.manager.SetEnabled(t.Context(), "n", true)
	w.ok(err)
	until(t, "a refusal", func() bool { return w.metric("failed_total", "n") > 0 })
	if ids := s.ids(); len(ids) > 5 {
		t.Errorf("after the one that was refused the stream took others: %v", ids)
	}
	w.ok(s.stream.Purge(t.Context(), jetstream.WithPurgeSubject("others")))
	until(t, "all events", func() bool { return w.metric("delivered_total", "n") >= 20 && w.metric("lag_events", "n") == 0 })
	if ids := s.ids(); !slices.Equal(ids, want) {
		t.Errorf("the stream has %v", ids)
	}
}

// Others may publish into the same stream.
func TestNATSKeepsTheOrderAmongOthers(t *testing.T) {
	s := newNATSStream(t, jetstream.StreamConfig{})
	c := Config{Settings: Settings{Name: "n", Kind: NATS, URL: s.url, Subject: "events", AllowPrivateAddresses: true}}
	s.ok(c.check())
	sender := newNATS(&c)
	defer sender.close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	some := func(from, to int) (events []event.Event) {
		for n := from; n < to; n++ {
			events = append(events, eventOf(n))
		}
		return events
	}
	send := func(from, to int) {
		t.Helper()
		_, err := sender.send(ctx, some(from, to))
		s.ok(err)
	}
	other := func(n int) error {
		_, err := s.js.Publish(ctx, "others", []byte("x"), jetstream.WithMsgID(fmt.Sprint("other", n)))
		return err
	}
	send(0, 5)
	s.ok(other(0))
	// The first five come again, and the last of them is not the last of the stream any more.
	if taken, err := sender.publish(ctx, "EVENTS", some(0, 20)); taken != 5 || !isCode(err, wrongLastMsgID) {
		t.Errorf("the stream took %d, then %v", taken, err)
	}
	send(0, 20)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := other(n); err != nil {
				stopped <- err
				return
			}
		}
	}()
	for n := range 10 {
		send(20+200*n, 220+200*n)
	}
	close(stop)
	s.ok(<-stopped)
	ids := s.ids()
	if !slices.IsSorted(ids) || len(ids) != 2020 {
		t.Errorf("%d of 2020 events, in order: %v", len(ids), slices.IsSorted(ids))
	}
}
