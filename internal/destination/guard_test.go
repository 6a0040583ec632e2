package destination

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/telemetry/otlp"
)

// asks sends one event to a destination that nothing runs.
func asks(t *testing.T, s Settings, secrets Secrets) (string, error) {
	t.Helper()
	c := Config{Settings: s, Secrets: secrets}
	c.Name = "x"
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	sender := newSender(&c, otlp.Record, time.Now)
	defer sender.close()
	ctx, cancel := context.WithTimeout(t.Context(), c.timeout())
	defer cancel()
	return sender.send(ctx, []event.Event{eventOf(1)})
}

// kinds are settings of every kind for one address.
func kinds(address string) map[string]Settings {
	return map[string]Settings{
		Webhook: {Kind: Webhook, URL: "http://" + address + "/"}, Segment: {Kind: Segment, URL: "http://" + address + "/"},
		PostHog: {Kind: PostHog, URL: "http://" + address + "/"}, OTLP: {Kind: OTLP, URL: "http://" + address + "/v1/logs"},
		NATS: {Kind: NATS, URL: "nats://" + address, Subject: "s"}, Kafka: {Kind: Kafka, URL: address, Topic: "t"},
	}
}

// No kind dials a private address, be it a number or what a name resolves to when it is dialled.
func TestNoKindDialsPrivateAddresses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dialled := make(chan struct{}, 100)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			dialled <- struct{}{}
			_ = conn.Close()
		}
	}()
	defer func() { _ = l.Close(); <-ended }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		for kind, s := range kinds(host + ":" + port) {
			_, err := asks(t, s, Secrets{Token: "k"})
			if err == nil || !strings.Contains(err.Error(), "private") {
				t.Errorf("%s to %s: %v", kind, host, err)
			}
		}
	}
	if len(dialled) > 0 {
		t.Errorf("%d connections were made", len(dialled))
	}
}

// One that takes connections and never says anything holds no kind up beyond its time limit.
func TestAHangingServiceIsLeftInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // connections wait in its queue
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for kind, s := range kinds(l.Addr().String()) {
		s.TimeoutMS, s.AllowPrivateAddresses = 200, true
		began := time.Now()
		if _, err := asks(t, s, Secrets{Token: "k"}); err == nil || time.Since(began) > 20*time.Second {
			t.Errorf("%s: %v after %v", kind, err, time.Since(began))
		}
	}
}

func TestCertificatesAreVerified(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	s := Settings{Kind: Webhook, URL: server.URL, AllowPrivateAddresses: true}
	if answer, err := asks(t, s, Secrets{}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("one that nobody knows: %q %v", answer, err)
	}
	s.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	if answer, err := asks(t, s, Secrets{}); err != nil || answer != "200 OK" {
		t.Errorf("one that is known: %q %v", answer, err)
	}
	c := Config{Settings: s}
	if c.Name, c.CA = "x", "no certificate"; c.check() == nil {
		t.Error("anything is taken for a certificate")
	}
}

// Settings that their kind would pass over are refused by name; who sets a CA is not left without TLS.
func TestSettingsOfNoUseAreRefused(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	places := func(s Settings) string {
		c := Config{Settings: s, Secrets: Secrets{Token: "k"}}
		c.Name = "x"
		var e *errs.Error
		errors.As(c.check(), &e)
		text := ""
		if e != nil {
			for _, f := range e.Fields {
				text += f.Location + " " + f.Message + "\n"
			}
		}
		return text
	}
	foreign := map[string]string{Webhook: "/subject /no_stream /topic /tls ", NATS: "/format /topic /tls ", Kafka: "/format /subject /no_stream "}
	for kind, s := range kinds("example.com:9092") {
		if said := places(s); said != "" {
			t.Errorf("%s: %s", kind, said)
		}
		s.CA = ca
		if said := places(s); (kind == NATS) != (said == "") || said != "" && !strings.HasPrefix(said, "/ca is of no use without TLS: it needs ") {
			t.Errorf("%s with a CA and without TLS: %q", kind, said)
		}
		if s.TLS = kind == Kafka; kind != Kafka && kind != NATS {
			s.URL = strings.Replace(s.URL, "http", "HTTPS", 1)
		}
		if said := places(s); said != "" {
			t.Errorf("%s with a CA and TLS: %s", kind, said)
		}
		s.Format, s.Subject, s.NoStream, s.Topic, s.TLS = CloudEvents, "s", true, "t", true
		said := ""
		for line := range strings.Lines(places(s)) {
			place, _, _ := strings.Cut(line, " ")
			said += place + " "
		}
		want, named := foreign[kind]
		if !named {
			want = "/format " + foreign[Webhook]
		}
		if said != want {
			t.Errorf("%s with everything: %q, want %q", kind, said, want)
		}
	}
}

// What is not given is shown as what holds.
func TestDefaultsAreShown(t *testing.T) {
	w := newWorld(t, 0)
	for kind, s := range kinds("example.com:9092") {
		s.Name = kind
		v, _, err := w.manager.Put(t.Context(), &Request{Settings: s, Secrets: Secrets{Token: "k"}})
		w.ok(err)
		if v.Enabled == nil || !*v.Enabled || v.TimeoutMS != 10_000 || v.Batch != (Batch{Events: 500, Bytes: 450_000, LingerMS: 200}) {
			t.Errorf("%s: %+v", kind, v.Settings)
		}
		if (v.Format == CloudEvents) != (kind == Webhook) {
			t.Errorf("%s: the format %q", kind, v.Format)
		}
		again, _, err := w.manager.Put(t.Context(), &Request{Settings: v.Settings}) // as it is shown
		if w.ok(err); again.Format != v.Format || again.TimeoutMS != v.TimeoutMS || again.Batch != v.Batch {
			t.Errorf("%s: %+v, then %+v", kind, v.Settings, again.Settings)
		}
	}
}

func TestRedirectsGetNoSecrets(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked with %v", r.Header) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		_, err := asks(t, Settings{Kind: Webhook, URL: server.URL, AllowPrivateAddresses: true}, Secrets{Token: "k"})
		if err == nil || !strings.Contains(err.Error(), "answered 30") {
			t.Errorf("%d: %v", status, err)
		}
		server.Close()
	}
}

// Of an answer without end little is read and less is shown.
func TestAnswersAreCapped(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	_, err := asks(t, Settings{Kind: Webhook, URL: server.URL, AllowPrivateAddresses: true}, Secrets{})
	if err == nil || len(err.Error()) > 400 || !strings.Contains(err.Error(), "502 Bad Gateway: xxx") {
		t.Errorf("%v", err)
	}
}

// What a collector refuses of a batch is counted, and not sent again.
func TestRecordsThatACollectorRefuses(t *testing.T) {
	reply, err := proto.Marshal(&collogs.ExportLogsServiceResponse{PartialSuccess: &collogs.ExportLogsPartialSuccess{RejectedLogRecords: 3, ErrorMessage: "too old"}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(reply) }))
	defer server.Close()
	w := newWorld(t, 0)
	w.put(Settings{Name: "o", Kind: OTLP, URL: server.URL, Batch: Batch{Events: 20, LingerMS: 10_000}}, Secrets{})
	w.send(40)
	until(t, "both batches", func() bool {
		return w.metric("delivered_total", "o") == 34 && w.metric("dead_lettered_total", "o") == 6 && w.metric("lag_events", "o") == 0
	})
}

// Properties are an object of any form; what comes out is JSON all the same.
func TestBodiesAreJSON(t *testing.T) {
	for _, properties := range []string{"", "{}", "{ }", " {\n} ", `{"a":1}`, ` { "a" : 1 } `} {
		e := eventOf(1)
		e.Properties = event.Object(properties)
		for name, body := range map[string]func([]byte, []event.Event) ([]byte, error){
			"posthog": postHogBody("k"), "segment": segmentBody(time.Now), "cloudevents": cloudEventsBody, "json": jsonBody,
		} {
			raw, err := body(nil, []event.Event{e, e})
			if err != nil || !json.Valid(raw) {
				t.Errorf("%s of %q: %s %v", name, properties, bytes.TrimSpace(raw), err)
			}
		}
	}
}
