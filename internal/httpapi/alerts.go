package httpapi

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/notify"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// AlertsAnswer is the answer of GET /alerts.
type AlertsAnswer struct {
	Notifies bool          `json:"notifies" doc:"Whether this replica is the one that tells the receivers"`
	Alerts   []Alert       `json:"alerts" nullable:"false" doc:"Those that fire, and those that have ended and were not told everywhere; the youngest first"`
	History  *[]AlertEvent `json:"history" doc:"Newest first, of the last 30 days; null while the database is away"`
}

// Alert is an alert as it stands, on any replica.
type Alert struct {
	Fingerprint string            `json:"fingerprint" doc:"As Alertmanager computes it"`
	AlertName   string            `json:"alertname"`
	State       string            `json:"state" enum:"firing,silenced,resolved"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"starts_at"`
	EndsAt      *time.Time        `json:"ends_at" doc:"null while it fires"`
	Receivers   []string          `json:"receivers" nullable:"false" doc:"Who is told of it"`
	SilencedBy  []string          `json:"silenced_by" nullable:"false" doc:"Ids of silences"`
	URL         string            `json:"generator_url" doc:"Where its query can be looked at"`
}

// AlertEvent is a line of the history.
type AlertEvent struct {
	At          time.Time         `json:"at"`
	Event       string            `json:"event" enum:"fired,resolved,notified,failed"`
	AlertName   string            `json:"alertname" doc:"Empty where a notification was about several"`
	Fingerprint string            `json:"fingerprint,omitempty" doc:"Of fired and resolved"`
	Labels      map[string]string `json:"labels" doc:"Of the alert, or of the group that was told"`
	Receiver    string            `json:"receiver,omitempty" doc:"Of notified and failed"`
	Detail      string            `json:"detail"`
}

// AlertTestAnswer is the answer of POST /alerts/test.
type AlertTestAnswer struct {
	Success bool              `json:"success" doc:"Whether every receiver took it; false where none is configured"`
	Results []AlertTestResult `json:"results" nullable:"false"`
}

// AlertTestResult is what one receiver answered.
type AlertTestResult struct {
	Receiver   string  `json:"receiver"`
	Type       string  `json:"type"`
	Sent       bool    `json:"sent"`
	Answer     string  `json:"answer" doc:"What the receiver said, or why it could not be asked"`
	DurationMS float64 `json:"duration_ms"`
}

// Silence mutes the alerts that all its matchers match, while it lasts.
type Silence struct {
	ID        string    `json:"id"`
	State     string    `json:"state" enum:"pending,active,expired"`
	Matchers  []string  `json:"matchers" nullable:"false" example:"severity=\"warning\""`
	StartsAt  time.Time `json:"starts_at"`
	EndsAt    time.Time `json:"ends_at"`
	CreatedBy string    `json:"created_by"`
	Comment   string    `json:"comment"`
	CreatedAt time.Time `json:"created_at"`
}

// SilenceRequest is the body of POST /alerts/silences.
type SilenceRequest struct {
	Matchers  []string   `json:"matchers" nullable:"false" minItems:"1" maxItems:"20" doc:"As Alertmanager writes them; all must match. At least one must ask for a label"`
	StartsAt  *time.Time `json:"starts_at,omitempty" doc:"RFC 3339; now where it is absent"`
	EndsAt    *time.Time `json:"ends_at,omitempty" doc:"RFC 3339, within a year; or else duration"`
	Duration  string     `json:"duration,omitempty" example:"2h30m" doc:"How long from its start; instead of ends_at"`
	CreatedBy string     `json:"created_by,omitempty" maxLength:"1000"`
	Comment   string     `json:"comment,omitempty" maxLength:"1000"`
}

// SilencesAnswer is the answer of GET /alerts/silences.
type SilencesAnswer struct {
	Silences []Silence `json:"silences" nullable:"false" doc:"Oldest first; ended ones are kept for five days"`
}

type (
	alertsInput struct {
		State     string `query:"state" enum:"firing,silenced,resolved" doc:"Of alerts"`
		Event     string `query:"event" enum:"fired,resolved,notified,failed" doc:"Of history"`
		AlertName string `query:"alertname" doc:"Of both"`
		Limit     int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Of each"`
	}
	alertsOutput   struct{ Body AlertsAnswer }
	silencesOutput struct{ Body SilencesAnswer }
	silenceInput   struct {
		ID string `path:"id" maxLength:"100"`
	}
)

func (s *Server) registerAlerts() {
	read(s, operation{route: route{method: http.MethodGet, path: base + "/alerts", scope: access.Read},
		id: "alerts", tag: "alerts", summary: "Alerts as they stand, and what became of earlier ones"}, s.alerts)
	s.plain(operation{route: route{method: http.MethodPost, path: base + "/alerts/test", scope: access.Admin},
		id: "test-alerts", tag: "alerts", summary: "Send one test notification to each receiver",
		detail: "Sent at once and tried once, past groups and silences.", faults: []int{http.StatusConflict}},
		nil, map[int]payload{200: AlertTestAnswer{}}, s.testAlerts)
	read(s, operation{route: route{method: http.MethodGet, path: base + "/alerts/silences", scope: access.Read},
		id: "list-silences", tag: "alerts", summary: "Silences"}, s.listSilences)
	s.plain(operation{route: route{method: http.MethodPost, path: base + "/alerts/silences", scope: access.Admin},
		id: "create-silence", tag: "alerts", summary: "Silence alerts for a time",
		detail: "Nobody is told of alerts that match, until the silence ends. Alertmanagers hear of them all the same: they have silences of their own.",
		faults: []int{http.StatusConflict, http.StatusServiceUnavailable}},
		SilenceRequest{}, map[int]payload{201: Silence{}}, s.createSilence)
	read(s, operation{route: route{method: http.MethodDelete, path: base + "/alerts/silences/{id}", scope: access.Admin},
		id: "end-silence", tag: "alerts", summary: "End a silence now",
		faults: []int{http.StatusNotFound, http.StatusServiceUnavailable}}, s.endSilence)
}

func (s *Server) alerts(ctx context.Context, in *alertsInput) (*alertsOutput, error) {
	var p params
	f := store.AlertHistoryFilter{What: in.Event, AlertName: p.text("alertname", in.AlertName), Limit: in.Limit}
	if err := p.err(); err != nil {
		return nil, err
	}
	state := s.deps.Alerts.State()
	out := &alertsOutput{Body: AlertsAnswer{Notifies: state.Notifies, Alerts: []Alert{}}}
	for i := range state.Alerts {
		a := alertView(&state.Alerts[i])
		if (in.State == "" || a.State == in.State) && (in.AlertName == "" || a.AlertName == in.AlertName) && len(out.Body.Alerts) < in.Limit {
			out.Body.Alerts = append(out.Body.Alerts, a)
		}
	}
	lines, err := s.deps.AlertHistory.AlertHistory(ctx, f)
	if err != nil {
		if errs.Is(err, errs.Unavailable) { // how things stand is worth knowing then, most of all
			return out, nil
		}
		return nil, err
	}
	history := views(lines, func(l *store.AlertEvent) AlertEvent {
		return AlertEvent{At: l.At, Event: l.What, AlertName: l.AlertName, Fingerprint: l.Fingerprint,
			Labels: l.Labels, Receiver: l.Receiver, Detail: l.Detail}
	})
	out.Body.History = &history
	return out, nil
}

func alertView(a *notify.AlertState) Alert {
	v := Alert{Fingerprint: a.Fingerprint, AlertName: a.Name(), State: "resolved", Labels: a.Labels, Annotations: a.Annotations,
		StartsAt: a.StartsAt, Receivers: append([]string{}, a.Receivers...), SilencedBy: append([]string{}, a.SilencedBy...), URL: a.GeneratorURL}
	switch {
	case !a.Firing:
		v.EndsAt = moment(a.EndsAt)
	case len(a.SilencedBy) > 0:
		v.State = "silenced"
	default:
		v.State = "firing"
	}
	return v
}

// testAlerts takes no body; one that is sent is left unread.
func (s *Server) testAlerts(w http.ResponseWriter, r *http.Request) error {
	results, err := s.deps.Alerts.Test(r.Context())
	if err != nil {
		return err
	}
	out := AlertTestAnswer{Success: len(results) > 0, Results: make([]AlertTestResult, len(results))}
	for i, t := range results {
		out.Success = out.Success && t.Sent
		out.Results[i] = AlertTestResult{Receiver: t.Receiver, Type: t.Type, Sent: t.Sent, Answer: t.Answer,
			DurationMS: math.Round(float64(t.Took.Microseconds())/10) / 100}
	}
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) listSilences(context.Context, *struct{}) (*silencesOutput, error) {
	return &silencesOutput{Body: SilencesAnswer{Silences: views(s.deps.Silences.Silences(), s.silenceView)}}, nil
}

func (s *Server) createSilence(w http.ResponseWriter, r *http.Request) error {
	var in SilenceRequest
	if err := s.bodies.decode(w, r, &in); err != nil {
		return err
	}
	si := store.Silence{Matchers: in.Matchers, CreatedBy: in.CreatedBy, Comment: in.Comment}
	if in.StartsAt != nil {
		si.StartsAt = in.StartsAt.UTC()
	}
	var err error
	if si.EndsAt, err = s.silenceEnd(&in); err != nil {
		return err
	}
	kept, err := s.deps.Silences.Silence(r.Context(), si)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, s.silenceView(&kept))
}

// silenceEnd is when a silence ends: said, or reckoned from its start.
func (s *Server) silenceEnd(in *SilenceRequest) (time.Time, error) {
	switch {
	case in.Duration != "" && in.EndsAt != nil:
		return time.Time{}, invalid("/duration", "may not stand beside ends_at")
	case in.EndsAt != nil:
		return in.EndsAt.UTC(), nil
	case in.Duration == "":
		return time.Time{}, invalid("/ends_at", "or duration is required")
	}
	d, err := time.ParseDuration(in.Duration)
	if err != nil || d <= 0 {
		return time.Time{}, invalid("/duration", "must be a duration such as 2h30m")
	}
	if in.StartsAt != nil {
		return in.StartsAt.UTC().Add(d), nil
	}
	return s.deps.Now().UTC().Add(d), nil
}

func (s *Server) endSilence(ctx context.Context, in *silenceInput) (*doneOutput, error) {
	var p params
	id := p.text("id", in.ID)
	if err := p.err(); err != nil {
		return nil, err
	}
	if err := s.deps.Silences.EndSilence(ctx, id); err != nil {
		return nil, err
	}
	return &doneOutput{Body: Done{Success: true, Message: "Silence ended"}}, nil
}

func (s *Server) silenceView(si *store.Silence) Silence {
	v := Silence{ID: si.ID, State: "active", Matchers: append([]string{}, si.Matchers...), StartsAt: si.StartsAt, EndsAt: si.EndsAt,
		CreatedBy: si.CreatedBy, Comment: si.Comment, CreatedAt: si.CreatedAt}
	switch now := s.deps.Now(); {
	case !now.Before(si.EndsAt):
		v.State = "expired"
	case now.Before(si.StartsAt):
		v.State = "pending"
	}
	return v
}
