package notify

import (
	"context"
	"encoding/json"
	"net/url"
	"time"
)

// alertmanager posts alerts to Alertmanager's API v2, as Prometheus does.
type alertmanager struct{ post *poster }

// apiAlert is an alert of that API.
type apiAlert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"` // a firing alert ends then unless it is heard of again
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

func newAlertmanager(c *Receiver) *alertmanager {
	to := c.URL
	if u, err := url.Parse(string(c.URL)); err == nil {
		to = Secret(u.JoinPath("/api/v2/alerts").String())
	}
	return &alertmanager{newPoster(to, c.BearerToken, true)}
}

func (a *alertmanager) send(ctx context.Context, m *message) (string, error) {
	all := make([]apiAlert, len(m.alerts))
	for i := range m.alerts {
		x := &m.alerts[i]
		all[i] = apiAlert{Labels: filled(x.Labels), Annotations: filled(x.Annotations),
			StartsAt: x.StartsAt, EndsAt: x.EndsAt, GeneratorURL: x.GeneratorURL}
	}
	body, err := json.Marshal(all)
	if err != nil {
		return "", &failure{cause: "the alerts cannot be written", permanent: true}
	}
	answer, _, err := a.post.post(ctx, body, nil)
	return answer, err
}
