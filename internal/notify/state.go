package notify

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// State is how things stand.
type State struct {
	Notifies bool // whether this replica is the one that tells people
	Alerts   []AlertState
}

// AlertState is an alert, who is to hear of it and what silences it.
type AlertState struct {
	Alert
	Receivers  []string
	SilencedBy []string
}

// State returns all alerts that fire on any replica, and those that have ended and were not told
// everywhere; the youngest first.
func (m *Manager) State() State {
	now := m.opt.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := State{Notifies: m.book.speaking}
	for _, a := range m.book.list() {
		x := AlertState{Alert: a, SilencedBy: m.book.silencedBy(a.Labels, now)}
		for _, r := range m.book.plan.receivers {
			if matches(r.matchers, a.Labels) {
				x.Receivers = append(x.Receivers, r.name)
			}
		}
		s.Alerts = append(s.Alerts, x)
	}
	return s
}

const (
	maxSilences  = 1000
	longestQuiet = 366 * 24 * time.Hour
	maxComment   = 1000
)

// Silences returns all that are kept, the oldest first.
func (m *Manager) Silences() []store.Silence {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]store.Silence, len(m.book.silences))
	for i, s := range m.book.silences {
		all[i] = s.Silence
	}
	return all
}

// Silence mutes what the matchers match. It needs matchers, an end, and who wants it; it begins
// now unless it says when.
func (m *Manager) Silence(ctx context.Context, s store.Silence) (store.Silence, error) {
	now := m.opt.Now().UTC().Truncate(time.Microsecond)
	if s.StartsAt.IsZero() {
		s.StartsAt = now
	}
	if err := checkSilence(&s, now); err != nil {
		return store.Silence{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return store.Silence{}, errs.Wrap(errs.Internal, "naming the silence", err)
	}
	s.ID, s.CreatedAt = id.String(), now
	if err := m.opt.Store.InsertSilence(ctx, s, maxSilences); err != nil {
		return store.Silence{}, err
	}
	ms, _, err := parseMatchers(s.Matchers)
	if err != nil {
		return store.Silence{}, err
	}
	m.mu.Lock()
	m.book.silences = append(m.book.silences, silence{s, ms})
	m.mu.Unlock()
	return s, nil
}

func checkSilence(s *store.Silence, now time.Time) error {
	var faults []errs.Field
	bad := func(location, message string) {
		faults = append(faults, errs.Field{Location: location, Message: message})
	}
	ms, at, err := parseMatchers(s.Matchers)
	if err != nil {
		bad("/matchers/"+strconv.Itoa(at), err.Error())
	}
	everything := true
	for _, x := range ms {
		everything = everything && x.Matches("")
	}
	if err == nil && everything {
		bad("/matchers", "at least one must ask for a label: these match every alert")
	}
	if !s.EndsAt.After(s.StartsAt) || !s.EndsAt.After(now) {
		bad("/ends_at", "must be in the future and after starts_at")
	}
	if s.EndsAt.Sub(now) > longestQuiet {
		bad("/ends_at", "must be within a year")
	}
	if len(s.CreatedBy) > maxComment {
		bad("/created_by", "is too long")
	}
	if len(s.Comment) > maxComment {
		bad("/comment", "is too long")
	}
	if len(faults) > 0 {
		return &errs.Error{Kind: errs.Invalid, Detail: "the silence is invalid", Fields: faults}
	}
	return nil
}

// EndSilence ends a silence now.
func (m *Manager) EndSilence(ctx context.Context, id string) error {
	now := m.opt.Now().UTC().Truncate(time.Microsecond)
	if err := m.opt.Store.ExpireSilence(ctx, id, now); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.book.silences {
		if s := &m.book.silences[i]; s.ID == id && s.EndsAt.After(now) {
			s.EndsAt = now
			if s.StartsAt.After(now) {
				s.StartsAt = now
			}
		}
	}
	return nil
}

// TestResult is what one receiver answered to a test.
type TestResult struct {
	Receiver string
	Type     string
	Sent     bool
	Answer   string
	Took     time.Duration
}

// Test sends one notification to each receiver, tries once, and returns what each answered. It
// goes around groups, silences and the log. One test at a time.
func (m *Manager) Test(ctx context.Context) ([]TestResult, error) {
	select {
	case m.testing <- struct{}{}:
		defer func() { <-m.testing }()
	default:
		return nil, errs.New(errs.Conflict, "a test is under way")
	}
	now := m.opt.Now()
	m.mu.Lock()
	p := m.book.plan
	m.mu.Unlock()
	a := Alert{
		Labels:      map[string]string{"alertname": "TidemarkTestNotification", "severity": "info"},
		Annotations: map[string]string{"summary": "A test: notifications from Tidemark reach you."},
		StartsAt:    now.UTC(), EndsAt: now.Add(5 * time.Minute).UTC(), Firing: true, GeneratorURL: p.cfg.ExternalURL,
	}
	a.Fingerprint = fingerprint(a.Labels)
	results := make([]TestResult, len(p.receivers))
	var wg sync.WaitGroup
	for i, r := range p.receivers {
		wg.Go(func() { results[i] = m.testOne(ctx, r, a, p.cfg.ExternalURL) })
	}
	wg.Wait()
	return results, nil
}

func (m *Manager) testOne(ctx context.Context, r *receiver, a Alert, externalURL string) TestResult {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	began := time.Now()
	group := map[string]string{"alertname": a.Name()}
	answer, err := r.sender.send(ctx, &message{
		id: "test-" + uuid.NewString(), receiver: r.name, groupKey: groupKey(group), labels: group,
		alerts: []Alert{a}, reason: "test", externalURL: externalURL, at: m.opt.Now(),
	})
	result := TestResult{Receiver: r.name, Type: r.kind, Sent: err == nil, Answer: answer, Took: time.Since(began)}
	if err != nil {
		result.Answer = err.Error()
	}
	return result
}
