package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	amwebhook "github.com/prometheus/alertmanager/notify/webhook"

	"github.com/tidemark-obs/tidemark/internal/outbound"
)

func testMessage() *message {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	up := Alert{Labels: map[string]string{"alertname": "Up", "severity": "critical", "instance": "a"}, Fingerprint: "f1", Firing: true,
		Annotations: map[string]string{"summary": "a <b> & c", "runbook_url": "https://x/y"}, StartsAt: now.Add(-time.Hour), EndsAt: now.Add(time.Minute)}
	down := up
	down.Labels = map[string]string{"alertname": "Up", "severity": "critical", "instance": "b"}
	down.Fingerprint, down.Firing, down.EndsAt = "f2", false, now.Add(-time.Minute)
	return &message{id: "id-1", receiver: "ops", groupKey: `{}:{alertname="Up"}`, labels: map[string]string{"alertname": "Up"},
		alerts: []Alert{up, down}, reason: "first notification", externalURL: "http://tidemark.example", at: now}
}

func webhookTo(url, secret string, private bool) sender {
	return newSender(&Receiver{Type: Webhook, URL: Secret(url), Secret: Secret(secret), BearerToken: "t0ken-of-ours", AllowPrivateAddresses: private})
}

// verify is what docs/notifications.md tells receivers to do.
func verify(key []byte, r *http.Request, body []byte) error {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp"), body)
	for signature := range strings.FieldsSeq(r.Header.Get("Webhook-Signature")) {
		got, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signature, "v1,"))
		if err == nil && hmac.Equal(got, mac.Sum(nil)) {
			return nil
		}
	}
	return errors.New("the signature is not ours")
}

func TestWebhook(t *testing.T) {
	for secret, key := range map[string]string{"plain secret": "plain secret", "whsec_" + base64.StdEncoding.EncodeToString([]byte("k\x00ey")): "k\x00ey"} {
		var got amwebhook.Message // Alertmanager's own type reads it
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err == nil {
				err = errors.Join(verify([]byte(key), r, body), json.Unmarshal(body, &got))
			}
			if err == nil && verify([]byte("another"), r, body) == nil {
				err = errors.New("any key verifies")
			}
			if err == nil && r.Header.Get("Authorization") != "Bearer t0ken-of-ours" {
				err = errors.New("no token")
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
		}))
		answer, err := webhookTo(s.URL, secret, true).send(t.Context(), testMessage())
		s.Close()
		if err != nil || answer != "200 OK" {
			t.Fatalf("answer %q, %v", answer, err)
		}
		if got.Version != "4" || got.Status != "firing" || got.GroupKey != `{}:{alertname="Up"}` || got.Receiver != "ops" ||
			got.CommonLabels["severity"] != "critical" || got.CommonLabels["instance"] != "" || got.GroupLabels["alertname"] != "Up" ||
			len(got.Alerts.Firing()) != 1 || len(got.Alerts.Resolved()) != 1 || got.ExternalURL != "http://tidemark.example" ||
			!got.Alerts.Firing()[0].EndsAt.IsZero() || got.Alerts.Resolved()[0].Fingerprint != "f2" {
			t.Errorf("message %+v %+v", got, got.Data)
		}
	}
}

func TestLongMessagesAreCut(t *testing.T) {
	m := testMessage()
	for range 3000 {
		m.alerts = append(m.alerts, m.alerts[0])
	}
	if b := bodyOf(m); len(b.Alerts) != maxWebhook || b.TruncatedAlerts != 3002-maxWebhook {
		t.Errorf("%d alerts, %d truncated", len(b.Alerts), b.TruncatedAlerts)
	}
	if text := slackLines(m); len(text) > 4000 || !strings.Contains(text, "and 2992 more") {
		t.Errorf("%d bytes for Slack", len(text))
	}
	if text := mailText(m); len(text) > 100_000 || !strings.Contains(text, "and 2901 more") {
		t.Errorf("%d bytes of mail", len(text))
	}
}

// Which answers are worth another try, and what people see of them.
func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		status     int
		header     string
		permanent  bool
		retryAfter time.Duration
	}{
		{status: 400, permanent: true}, {status: 404, permanent: true}, {status: 401, permanent: true}, {status: 413, permanent: true},
		{status: 408}, {status: 429, header: "7", retryAfter: 7 * time.Second}, {status: 429, header: "soon"}, {status: 429, header: "-1"},
		{status: 503, header: "99999999999", retryAfter: longestPause}, {status: 503, header: "999999", retryAfter: longestPause},
		{status: 500}, {status: 502}, {status: 301, permanent: true}, {status: 302, permanent: true},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", tt.header)
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(tt.status)
			fmt.Fprintf(w, "you sent %s to %s\n\x1b[31m", r.Header.Get("Authorization"), r.URL)
			_, _ = w.Write([]byte(strings.Repeat("long ", 50_000)))
		}))
		_, err := webhookTo(s.URL+"/hooks/T0KEN/inthepath?key=querysecret", "", true).send(t.Context(), testMessage())
		s.Close()
		var f *failure
		if !errors.As(err, &f) || f.permanent != tt.permanent || f.retryAfter != tt.retryAfter {
			t.Errorf("%d %q: %+v", tt.status, tt.header, err)
			continue
		}
		if !strings.HasPrefix(f.cause, fmt.Sprintf("answered %d", tt.status)) || len(f.cause) > 300 {
			t.Errorf("%d: %q", tt.status, f.cause)
		}
		for _, secret := range []string{"t0ken-of-ours", "T0KEN", "querysecret", "\x1b"} {
			if strings.Contains(f.cause, secret) {
				t.Errorf("%d: %q shows %q", tt.status, f.cause, secret)
			}
		}
	}
}

func TestAReceiverThatHangsOrIsNotThere(t *testing.T) {
	hung := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hung:
		case <-r.Context().Done():
		}
	}))
	cfg := testConfig(Receiver{Name: "ops", Type: Webhook, URL: Secret(s.URL + "/secretpath"), AllowPrivateAddresses: true, Timeout: 50 * time.Millisecond})
	p, err := makePlan(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := &Manager{}
	result := m.testOneWith(t, p.receivers[0])
	close(hung)
	s.Close()
	if result != "no answer in time" {
		t.Errorf("hangs: %q", result)
	}
	if result = m.testOneWith(t, p.receivers[0]); result == "" || strings.Contains(result, "secretpath") {
		t.Errorf("is gone: %q", result)
	}
}

func (m *Manager) testOneWith(t *testing.T, r *receiver) string {
	m.opt.Now = time.Now
	return m.testOne(t.Context(), r, Alert{Labels: map[string]string{"alertname": "Test"}}, "").Answer
}

func TestPrivateAddressesAreNotDialled(t *testing.T) {
	var reached atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer inside.Close()
	port := inside.URL[strings.LastIndex(inside.URL, ":"):]
	for _, url := range []string{inside.URL, "http://localhost" + port, "http://[::ffff:127.0.0.1]" + port, "http://0.0.0.0" + port, "http://127.1" + port} {
		_, err := webhookTo(url, "", false).send(t.Context(), testMessage())
		var f *failure
		if !errors.As(err, &f) {
			t.Errorf("%s: %v", url, err)
		} else if url != "http://127.1"+port && (!f.permanent || f.cause != outbound.ErrPrivate.Error()) {
			t.Errorf("%s: %+v", url, f)
		}
	}
	// Not by way of a redirect either, even where the first hop is allowed.
	outside := httptest.NewServer(http.RedirectHandler(inside.URL, http.StatusTemporaryRedirect))
	defer outside.Close()
	if _, err := webhookTo(outside.URL, "", true).send(t.Context(), testMessage()); err == nil {
		t.Error("a redirect counts as taken")
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("reached %d times", n)
	}
}

func TestSlack(t *testing.T) {
	var got slackBody
	reply := "ok"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, reply)
	}))
	defer s.Close()
	to := newSender(&Receiver{Type: Slack, URL: Secret(s.URL), AllowPrivateAddresses: true, Channel: "#ops"})
	if _, err := to.send(t.Context(), testMessage()); err != nil {
		t.Fatal(err)
	}
	a := got.Attachments[0]
	if got.Channel != "#ops" || a.Title != "[FIRING:1] Up (critical)" || a.Color != "danger" ||
		a.Text != ":rotating_light: *Up* a &lt;b&gt; &amp; c <https://x/y|runbook>\n:white_check_mark: *Up* a &lt;b&gt; &amp; c <https://x/y|runbook>\n" {
		t.Errorf("sent %+v", got)
	}
	m := testMessage()
	m.alerts = m.alerts[1:]
	if _, err := to.send(t.Context(), m); err != nil || got.Attachments[0].Color != "good" || got.Attachments[0].Title != "[RESOLVED] Up (critical)" {
		t.Errorf("resolved: %v, %+v", err, got)
	}
	reply = `{"ok":false,"error":"channel_not_found"}`
	var f *failure
	if _, err := to.send(t.Context(), m); !errors.As(err, &f) || !f.permanent || f.cause != "answered channel_not_found" {
		t.Errorf("an error in a 200: %v", err)
	}
}
