package notify

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/tidemark-obs/tidemark/internal/outbound"
)

// maxWebhook is how many alerts one message has; the rest is counted.
const maxWebhook = 1000

// webhook posts Alertmanager's JSON, version 4, signed as Standard Webhooks are.
type webhook struct {
	post *poster
	key  []byte
}

// webhookBody is the JSON that Alertmanager's webhook receivers know.
type webhookBody struct {
	Receiver          string            `json:"receiver"`
	Status            string            `json:"status"`
	Alerts            []webhookAlert    `json:"alerts"`
	Reason            string            `json:"notification_reason"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   int               `json:"truncatedAlerts"`
}

type webhookAlert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"` // zero while it fires
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

func (w *webhook) send(ctx context.Context, m *message) (string, error) {
	body, err := json.Marshal(bodyOf(m))
	if err != nil {
		return "", &failure{cause: "the message cannot be written", permanent: true}
	}
	header := http.Header{}
	outbound.Sign(header, w.key, m.id, m.at, body)
	answer, _, err := w.post.post(ctx, body, header)
	return answer, err
}

func bodyOf(m *message) webhookBody {
	b := webhookBody{
		Receiver: m.receiver, Status: m.status(), Reason: m.reason, GroupLabels: filled(m.labels),
		CommonLabels:      commonOf(m.alerts, func(a *Alert) map[string]string { return a.Labels }),
		CommonAnnotations: commonOf(m.alerts, func(a *Alert) map[string]string { return a.Annotations }),
		ExternalURL:       m.externalURL, Version: "4", GroupKey: m.groupKey,
	}
	shown := m.alerts
	if len(shown) > maxWebhook {
		b.TruncatedAlerts = len(shown) - maxWebhook
		shown = shown[:maxWebhook]
	}
	b.Alerts = make([]webhookAlert, len(shown))
	for i, a := range shown {
		b.Alerts[i] = webhookAlert{Status: a.status(), Labels: filled(a.Labels), Annotations: filled(a.Annotations),
			StartsAt: a.StartsAt, EndsAt: a.EndsAt, GeneratorURL: a.GeneratorURL, Fingerprint: a.Fingerprint}
		if a.Firing {
			b.Alerts[i].EndsAt = time.Time{}
		}
	}
	return b
}

func filled(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
