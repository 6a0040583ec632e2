package notify

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/util/strutil"

	"github.com/tidemark-obs/tidemark/internal/store"
)

// Alert is an alert as it stands: what all replicas know of it, put together.
type Alert struct {
	Fingerprint  string
	Labels       map[string]string
	Annotations  map[string]string
	GeneratorURL string
	StartsAt     time.Time
	EndsAt       time.Time // of a firing alert: until when it counts as firing
	Firing       bool
}

// Name is the alert's name.
func (a *Alert) Name() string { return a.Labels[model.AlertNameLabel] }

func (a *Alert) status() string {
	if a.Firing {
		return "firing"
	}
	return "resolved"
}

// fingerprint is Alertmanager's, so that receivers that know both see one identity.
func fingerprint(ls map[string]string) string {
	set := make(model.LabelSet, len(ls))
	for k, v := range ls {
		set[model.LabelName(k)] = model.LabelValue(v)
	}
	return set.Fingerprint().String()
}

// fromRule makes a record of what the evaluator says, as Prometheus does for its Alertmanagers.
func fromRule(a *rules.Alert, expr, externalURL, source string, now time.Time) store.Alert {
	r := store.Alert{
		Source: source, Labels: a.Labels.Map(), Annotations: a.Annotations.Map(),
		StartsAt: a.FiredAt.UTC(), EndsAt: a.ValidUntil.UTC(), UpdatedAt: now.UTC(),
		GeneratorURL: externalURL + strutil.TableLinkForExpression(expr),
	}
	if !a.ResolvedAt.IsZero() {
		r.EndsAt, r.Resolved = a.ResolvedAt.UTC(), true
	}
	r.Fingerprint = fingerprint(r.Labels)
	return r
}

func active(r *store.Alert, now time.Time) bool { return !r.Resolved && r.EndsAt.After(now) }

// merge puts together what the replicas know: an alert fires while it fires anywhere.
func merge(records map[string]store.Alert, now time.Time) Alert {
	sorted := slices.SortedFunc(maps.Values(records), func(a, b store.Alert) int {
		return cmp.Or(a.UpdatedAt.Compare(b.UpdatedAt), cmp.Compare(a.Source, b.Source))
	})
	var m Alert
	for i := range sorted {
		r := &sorted[i]
		firing := active(r, now)
		if m.Firing && !firing {
			continue
		}
		if firing && !m.Firing { // what ended elsewhere says nothing more
			m = Alert{Firing: true}
		}
		m.Fingerprint, m.Labels = r.Fingerprint, r.Labels
		m.Annotations, m.GeneratorURL = r.Annotations, r.GeneratorURL
		if m.StartsAt.IsZero() || r.StartsAt.Before(m.StartsAt) {
			m.StartsAt = r.StartsAt
		}
		if r.EndsAt.After(m.EndsAt) {
			m.EndsAt = r.EndsAt
		}
	}
	return m
}

func matches(ms labels.Matchers, ls map[string]string) bool {
	for _, m := range ms {
		if !m.Matches(ls[m.Name]) {
			return false
		}
	}
	return true
}
