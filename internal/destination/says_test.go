package destination

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// tries asks for a test of a destination.
func (w *world) tries(s Settings, secrets Secrets) TestResult {
	w.Helper()
	if s.Name = "tried"; s.TimeoutMS == 0 {
		s.TimeoutMS = 60_000
	}
	w.put(s, secrets)
	result, err := w.manager.Test(w.Context(), s.Name)
	w.ok(err)
	w.ok(w.manager.Delete(w.Context(), s.Name))
	return result
}

// fails asks for tests until one was quick enough to find out why it fails.
func (w *world) fails(name string, s Settings, secrets Secrets, want string) {
	w.Helper()
	s.TimeoutMS = 500
	until(w.TB, name+" to say "+want, func() bool {
		result := w.tries(s, secrets)
		if result.Success || strings.Contains(result.Answer, "very-secret") {
			w.Fatalf("%s: %+v", name, result)
		}
		return strings.Contains(result.Answer, want)
	})
}

// A service that repeats what it was sent does not have it shown, be it in an answer or in a reason.
func TestWhatAServiceRepeats(t *testing.T) {
	w, status := newWorld(t, 0), http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		rw.WriteHeader(status)
		fmt.Fprintf(rw, "authorised by %s; %s", r.Header.Get("Authorization"), body)
	}))
	defer server.Close()
	secrets := Secrets{Token: `tok"en-of-a-project`, Secret: "tok"}
	for kind, s := range kinds("example.com:9092") {
		if !strings.HasPrefix(s.URL, "http") || kind == OTLP { // whose answers have a form
			continue
		}
		s.URL = server.URL
		for _, status = range []int{http.StatusOK, http.StatusBadRequest} {
			result := w.tries(s, secrets)
			if !strings.Contains(result.Answer, fmt.Sprint(status, " ", http.StatusText(status), ": authorised by")) || result.Success != (status == http.StatusOK) {
				t.Errorf("%s says %+v", kind, result)
			}
			if !strings.Contains(result.Answer, "<secret>") || strings.Contains(result.Answer, "tok") || strings.Contains(result.Answer, "dG9rI") {
				t.Errorf("%s shows %s", kind, result.Answer)
			}
		}
	}
}

// late answers before it reads.
type late struct{ bodies []io.ReadCloser }

func (l *late) RoundTrip(r *http.Request) (*http.Response, error) {
	l.bodies = append(l.bodies, r.Body)
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// A service that answers before it has read all of a request still gets that one.
func TestABodyIsLeftToItsRequest(t *testing.T) {
	c, l := Config{Settings: Settings{Kind: Webhook, URL: "http://example.com/"}}, &late{}
	s := newSender(&c, nil, time.Now).(*httpSender)
	s.client.Transport = l
	const n = 5
	for i := range n {
		if _, err := s.send(t.Context(), []event.Event{eventOf(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for i, b := range l.bodies {
		raw, err := io.ReadAll(b)
		var got []struct{ ID string }
		if err != nil || json.Unmarshal(raw, &got) != nil || len(got) != 1 || got[0].ID != eventOf(i).ID {
			t.Errorf("request %d is %s, %v", i, raw, err)
		}
	}
}

// What is too large for a stream is a dead letter; the others go on.
func TestNATSRefusesOneEvent(t *testing.T) {
	w := newWorld(t, 0)
	s := natsServer(t, t.TempDir(), -1, true)
	defer func() { s.Shutdown(); s.WaitForShutdown() }()
	nc, err := nats.Connect(s.ClientURL())
	w.ok(err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	w.ok(err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events"}, MaxMsgSize: 1000})
	w.ok(err)
	w.put(Settings{Name: "n", Kind: NATS, URL: s.ClientURL(), Subject: "events"}, Secrets{})
	w.sendAmong(20, strings.Repeat("x", 2000))
	until(t, "the others", func() bool {
		i, err := stream.Info(t.Context())
		w.ok(err)
		return i.State.Msgs == 20 && w.metric("lag_events", "n") == 0
	})
	w.wantLetter("n", "message size exceeds maximum allowed")
}

// sendAmong accepts n events and, among them, one with a large property.
func (w *world) sendAmong(n int, text string) {
	w.Helper()
	w.send(5)
	large := eventOf(0)
	large.ID, large.Properties = "large", event.Object(`{"text":"`+text+`"}`)
	w.accept(large)
	w.send(n - 5)
}

// wantLetter checks that the large event is the only dead letter.
func (w *world) wantLetter(destination, detail string) {
	w.Helper()
	list, err := w.manager.Undelivered(w.Context(), destination, "", 10)
	w.ok(err)
	if len(list) != 1 || list[0].Event.ID != "large" || !strings.Contains(list[0].Detail, detail) {
		w.Errorf("dead letters: %+v", list)
	}
}

func TestKafkaRefusesOneEvent(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "events"), kfake.BrokerConfigs(map[string]string{"message.max.bytes": "20000"}))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	w := newWorld(t, 0)
	w.put(Settings{Name: "k", Kind: Kafka, URL: strings.Join(cluster.ListenAddrs(), ","), Topic: "events"}, Secrets{})
	large := strings.Builder{} // that compression does not help
	for i := range 4000 {
		fmt.Fprintf(&large, "%x", uint32(i)*2654435761)
	}
	w.sendAmong(20, large.String())
	until(t, "the others", func() bool { return w.metric("delivered_total", "k") == 20 && w.metric("lag_events", "k") == 0 })
	w.wantLetter("k", "MESSAGE_TOO_LARGE")
	// A broker that wants no such times says the same of them for ever.
	for err, want := range map[error]bool{kerr.InvalidTimestamp: true, kerr.InvalidRecord: true, kerr.NotLeaderForPartition: false, kerr.TopicAuthorizationFailed: false} {
		if f, ok := newKafka(&Config{}).failure(err).(*failure); !ok || f.refused != want {
			t.Errorf("%v is refused for good: %v", err, f.refused)
		}
	}
}

// Who may not publish is told so, whether a stream keeps the subject or not.
func TestNATSSaysWhoMayNotPublish(t *testing.T) {
	w := newWorld(t, 0)
	s := natsServer(t, t.TempDir(), -1, true, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "free", Password: "very-secret"},
			{Username: "bound", Password: "very-secret", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"events"}}}},
		}
	})
	defer func() { s.Shutdown(); s.WaitForShutdown() }()
	free, bound := Secrets{Username: "free", Password: "very-secret"}, Secrets{Username: "bound", Password: "very-secret"}
	to := Settings{Kind: NATS, URL: s.ClientURL(), Subject: "events", NoStream: true}
	if result := w.tries(to, free); !result.Success {
		t.Errorf("who may: %+v", result)
	}
	w.fails("who may not", to, bound, "Permissions Violation")
	nc, err := nats.Connect(s.ClientURL(), nats.UserInfo("free", "very-secret"))
	w.ok(err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	w.ok(err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events"}})
	w.ok(err)
	to.NoStream = false
	if result := w.tries(to, free); !result.Success || result.Answer != "stored by stream EVENTS" {
		t.Errorf("who may: %+v", result)
	}
	w.fails("who may not", to, bound, "Permissions Violation")
}

// Secrets open what they are for, wrong ones do not, and neither is said.
func TestSecretsOfNATSAndKafka(t *testing.T) {
	w := newWorld(t, 0)
	check := func(name string, s Settings, good Secrets, want string, wrong ...Secrets) {
		t.Helper()
		if result := w.tries(s, good); !result.Success {
			t.Errorf("%s: %+v", name, result)
		}
		for _, secrets := range wrong {
			w.fails(name, s, secrets, want)
		}
	}
	token := natsServer(t, t.TempDir(), -1, false, func(o *server.Options) { o.Authorization = "very-secret" })
	defer func() { token.Shutdown(); token.WaitForShutdown() }()
	check("nats by token", Settings{Kind: NATS, URL: token.ClientURL(), Subject: "events", NoStream: true}, Secrets{Token: "very-secret"}, "Authorization Violation", Secrets{Token: "very-secret-2"}, Secrets{})
	user := natsServer(t, t.TempDir(), -1, false, func(o *server.Options) { o.Username, o.Password = "u", "very-secret" })
	defer func() { user.Shutdown(); user.WaitForShutdown() }()
	check("nats by name", Settings{Kind: NATS, URL: user.ClientURL(), Subject: "events", NoStream: true},
		Secrets{Username: "u", Password: "very-secret"}, "Authorization Violation", Secrets{Username: "u", Password: "very-secret-2"}, Secrets{})
	for setting, mechanism := range map[string]string{"": "PLAIN", Plain: "PLAIN", ScramSHA256: "SCRAM-SHA-256", ScramSHA512: "SCRAM-SHA-512"} {
		cluster := kafkaWithTLS(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "u", "very-secret"))
		s := Settings{Kind: Kafka, URL: strings.Join(cluster.ListenAddrs(), ","), Topic: "events", SASL: setting}
		check("kafka by "+mechanism, s, Secrets{Username: "u", Password: "very-secret"}, "does it know", Secrets{Username: "u", Password: "very-secret-2"})
	}
}
