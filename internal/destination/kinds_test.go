package destination

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/proctest"
	"github.com/tidemark-obs/tidemark/internal/telemetry/otlp/otlptest"
)

// inbox takes JSON of one shape and the ids in it.
type inbox struct {
	mu     sync.Mutex
	bodies []map[string]any
	auth   string
}

func (b *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var body map[string]any
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.auth, _, _ = r.BasicAuth()
	b.bodies = append(b.bodies, body)
}

// events are all elements of a list, by the text of a key.
func (b *inbox) events(list, key string) (ids []string, all []map[string]any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, body := range b.bodies {
		elements, _ := body[list].([]any)
		for _, e := range elements {
			m, _ := e.(map[string]any)
			id, _ := m[key].(string)
			ids, all = append(ids, id), append(all, m)
		}
	}
	return ids, all
}

func TestSegmentAndPostHogAndPlainJSON(t *testing.T) {
	w := newWorld(t, 0)
	for _, k := range []struct {
		settings  Settings
		list, key string
	}{
		{Settings{Name: "s", Kind: Segment}, "batch", "messageId"},
		{Settings{Name: "p", Kind: PostHog}, "batch", "uuid"},
		{Settings{Name: "j", Kind: Webhook, Format: JSON}, "events", "event_id"},
	} {
		b := &inbox{}
		s := httptest.NewServer(b)
		defer s.Close()
		k.settings.URL, k.settings.TimeoutMS = s.URL, patient
		w.put(k.settings, Secrets{Token: "project-key"})
		w.send(45)
		until(t, "all events", func() bool { ids, _ := b.events(k.list, k.key); return len(ids) == 45 })
		ids, all := b.events(k.list, k.key)
		first := eventOf(w.sent - 45)
		p, _ := all[0]["properties"].(map[string]any)
		if p["plan"] != "pro" || p["n"] != float64(w.sent-45) {
			t.Errorf("%s: %v", k.settings.Kind, all[0])
		}
		switch k.settings.Kind {
		case Segment:
			if ids[0] != first.ID || all[0]["event"] != "order" || all[0]["userId"] != first.UserID || all[0]["type"] != "track" || b.auth != "project-key" {
				t.Errorf("segment: %v, as %q", all[0], b.auth)
			}
		case PostHog:
			if ids[0] != asUUID(first.ID) || all[0]["distinct_id"] != first.UserID || all[0]["event"] != "order" || b.bodies[0]["api_key"] != "project-key" {
				t.Errorf("posthog: %v", all[0])
			}
		default:
			if !slices.IsSorted(ids) || ids[0] != first.ID {
				t.Errorf("json: %v", ids)
			}
		}
		w.ok(w.manager.Delete(t.Context(), k.settings.Name))
	}
}

func TestOTLPToAReceiver(t *testing.T) {
	w, sink := newWorld(t, 0), otlptest.Start(t)
	w.put(Settings{Name: "o", Kind: OTLP, URL: sink.Endpoint("http/protobuf") + "/v1/logs", TimeoutMS: patient}, Secrets{})
	w.send(45)
	until(t, "all records", func() bool { return len(sink.Events()) == 45 })
	seen := map[string]bool{}
	for _, e := range sink.Events() {
		for _, a := range e.GetAttributes() {
			if a.GetKey() == "log.record.uid" {
				seen[a.GetValue().GetStringValue()] = true
			}
		}
	}
	if len(seen) != 45 {
		t.Errorf("%d ids", len(seen))
	}
}

func natsServer(t *testing.T, dir string, port int, js bool, change ...func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: port, JetStream: js, StoreDir: dir, NoSigs: true, NoLog: true}
	for _, f := range change {
		f(o)
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server does not start")
	}
	return s
}

// A stream has every event of each destination once and in order, over a restart of its server.
func TestNATSWithAStream(t *testing.T) {
	w, dir := newWorld(t, 0), t.TempDir()
	_, digits, err := net.SplitHostPort(proctest.FreeAddress(t)) // free for the second server as well
	w.ok(err)
	port, err := strconv.Atoi(digits)
	w.ok(err)
	s := natsServer(t, dir, port, true)
	url := s.ClientURL()
	connect := func() (*nats.Conn, jetstream.JetStream) {
		nc, err := nats.Connect(url)
		w.ok(err)
		js, err := jetstream.New(nc)
		w.ok(err)
		return nc, js
	}
	nc, js := connect()
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events.>"}, Storage: jetstream.FileStorage})
	w.ok(err)
	nc.Close()
	names := []string{"m", "n"}
	for _, name := range names {
		w.put(Settings{Name: name, Kind: NATS, URL: url, Subject: "events." + name, TimeoutMS: 2000}, Secrets{})
	}
	all := func(does func(name string) bool) func() bool {
		return func() bool { return !slices.ContainsFunc(names, func(name string) bool { return !does(name) }) }
	}
	w.send(100)
	until(t, "the first events", all(func(name string) bool { return w.metric("delivered_total", name) >= 20 }))
	s.Shutdown()
	s.WaitForShutdown()
	w.send(100)
	until(t, "a failure", all(func(name string) bool { return w.metric("failed_total", name) > 0 }))
	s = natsServer(t, dir, port, true)
	defer func() { s.Shutdown(); s.WaitForShutdown() }()
	until(t, "the rest", all(func(name string) bool {
		return w.metric("delivered_total", name) >= 200 && w.metric("lag_events", name) == 0
	}))
	nc, js = connect()
	defer nc.Close()
	c, err := js.OrderedConsumer(t.Context(), "EVENTS", jetstream.OrderedConsumerConfig{})
	w.ok(err)
	ids := map[string][]string{}
	for range 400 {
		m, err := c.Next(jetstream.FetchMaxWait(time.Minute))
		w.ok(err)
		name, id, _ := strings.Cut(m.Headers().Get(nats.MsgIdHdr), "/")
		if m.Subject() != "events."+name || !strings.HasPrefix(string(m.Data()), `{"event_id":"`+id+`"`) {
			t.Fatalf("message %s/%s is on %s: %s", name, id, m.Subject(), m.Data())
		}
		ids[name] = append(ids[name], id)
	}
	for _, name := range names {
		if n := len(slices.Compact(ids[name])); !slices.IsSorted(ids[name]) || n != 200 {
			t.Errorf("%s: %d of 200 events, sorted: %v", name, n, slices.IsSorted(ids[name]))
		}
	}
}

func TestNATSWithoutAStream(t *testing.T) {
	w := newWorld(t, 0)
	s := natsServer(t, t.TempDir(), -1, false)
	defer func() { s.Shutdown(); s.WaitForShutdown() }()
	nc, err := nats.Connect(s.ClientURL())
	w.ok(err)
	defer nc.Close()
	sub, err := nc.SubscribeSync("events")
	w.ok(err)
	w.ok(nc.Flush())
	w.put(Settings{Name: "n", Kind: NATS, URL: s.ClientURL(), Subject: "events", NoStream: true, TimeoutMS: patient}, Secrets{})
	w.send(50)
	for n := range 50 {
		m, err := sub.NextMsg(time.Minute)
		w.ok(err)
		id := eventOf(n).ID
		if sent := m.Header.Get(nats.MsgIdHdr); sent != "n/"+id || !strings.HasPrefix(string(m.Data), `{"event_id":"`+id+`"`) {
			t.Fatalf("message %d is %s: %s", n, sent, m.Data)
		}
	}
}

func TestKafka(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "events"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	w := newWorld(t, 0)
	w.put(Settings{Name: "k", Kind: Kafka, URL: strings.Join(cluster.ListenAddrs(), ","), Topic: "events", TimeoutMS: patient}, Secrets{})
	w.send(100)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("events"))
	w.ok(err)
	defer client.Close()
	last, ids := map[string]string{}, map[string]bool{}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for len(ids) < 100 {
		fetches := client.PollFetches(ctx)
		w.ok(ctx.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			id := string(r.Headers[0].Value)
			if ids[id] = true; id <= last[string(r.Key)] {
				t.Errorf("%s came after %s of the same person", id, last[string(r.Key)])
			}
			last[string(r.Key)] = id
		})
	}
	if len(last) != 10 {
		t.Errorf("%d keys, want the ten persons", len(last))
	}
}

// A stream may say yes to a batch only when it has all of it, be the batch as large as may be.
func TestNATSWaitsForAWholeBatch(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1, false)
	defer func() { s.Shutdown(); s.WaitForShutdown() }()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	nc, err := nats.Connect(s.ClientURL())
	ok(err)
	defer nc.Close()
	_, err = nc.Subscribe("$JS.API.STREAM.NAMES", func(m *nats.Msg) {
		_ = m.Respond([]byte(`{"type":"io.nats.jetstream.api.v1.stream_names_response","total":1,"limit":1024,"streams":["LATE"]}`))
	})
	ok(err)
	var held []*nats.Msg
	_, err = nc.Subscribe("events", func(m *nats.Msg) {
		if held = append(held, m); len(held) < maxEvents {
			return
		}
		for n, m := range held {
			_ = m.Respond(fmt.Appendf(nil, `{"stream":"LATE","seq":%d}`, n+1))
		}
	})
	ok(err)
	ok(nc.Flush())
	c := Config{Settings: Settings{Name: "n", Kind: NATS, URL: s.ClientURL(), Subject: "events", AllowPrivateAddresses: true}}
	ok(c.check())
	sender := newNATS(&c)
	defer sender.close()
	events := make([]event.Event, maxEvents)
	for i := range events {
		events[i] = eventOf(i)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if answer, err := sender.send(ctx, events); err != nil || answer != "stored by stream LATE" {
		t.Errorf("%q %v", answer, err)
	}
}
