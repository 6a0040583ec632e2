package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/tidemark-obs/tidemark/internal/store"
)

const (
	firstWait     = time.Second // between two tries; doubles
	longestWait   = time.Minute
	longestPause  = time.Hour // that a receiver may ask for
	leastPatience = 10 * time.Second
)

var (
	errNotOurs  = errors.New("another replica notifies")
	errStopping = errors.New("the service stops")
)

// send sends one job and writes down what became of it.
func (m *Manager) send(j *job) {
	select {
	case j.to.slots <- struct{}{}:
		defer func() { <-j.to.slots }()
	case <-m.stopping:
		m.finish(j, "", errStopping, time.Time{})
		return
	}
	answer, pause, err := m.deliver(m.sendCtx, j)
	m.finish(j, answer, err, m.opt.Now().Add(pause))
}

func (m *Manager) finish(j *job, answer string, err error, notBefore time.Time) {
	now := m.opt.Now()
	mine := !errors.Is(err, errNotOurs) && !errors.Is(err, errStopping)
	m.mu.Lock()
	m.book.finish(j, err == nil, notBefore)
	if mine && (err != nil || j.reason != "") {
		m.book.pending.remember(historyOf(j, answer, err, now))
	}
	m.mu.Unlock()
	if mine {
		m.metrics.count(j.to, err)
	}
	if err != nil {
		m.log.Warn("notification not sent", "receiver", j.to.name, "alerts", len(j.alerts), "cause", err)
	} else {
		m.log.Debug("notification sent", "receiver", j.to.name, "alerts", len(j.alerts), "reason", j.reason)
		// The log is written before anything else happens, so that a crash from here on repeats nothing.
		if err := m.save(context.WithoutCancel(m.sendCtx)); err != nil {
			m.log.Warn("the log of notifications waits for the database", "cause", err)
		}
	}
	ring(m.wake)
}

// deliver tries until the receiver has taken the notification, refuses it for good, or the group's
// next turn comes. It returns how long the receiver wants to be left alone.
func (m *Manager) deliver(ctx context.Context, j *job) (answer string, pause time.Duration, err error) {
	patience := max(j.expires.Sub(m.opt.Now()), leastPatience)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	wait := firstWait
	for {
		if !m.maySpeak(ctx, j.era) {
			if err == nil {
				err = errNotOurs
			}
			return "", 0, err
		}
		answer, err = m.try(ctx, j)
		var f *failure
		if err == nil || errors.As(err, &f) && f.permanent {
			return answer, 0, err
		}
		next := time.Duration(float64(wait) * (0.5 + rand.Float64()))
		if f != nil && f.retryAfter > 0 {
			pause = min(f.retryAfter, longestPause)
			next = max(next, pause)
		}
		wait = min(2*wait, longestWait)
		m.metrics.retries.WithLabelValues(j.to.name).Inc()
		m.log.Debug("notification will be tried again", "receiver", j.to.name, "cause", err)
		timer := time.NewTimer(next)
		select {
		case <-timer.C:
		case <-m.stopping:
			timer.Stop()
			return "", 0, err
		case <-ctx.Done():
			timer.Stop()
			return "", pause, err
		}
	}
}

// try makes one request, within the receiver's time limit and the term that maySpeak renewed.
func (m *Manager) try(ctx context.Context, j *job) (answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, j.to.timeout)
	defer cancel()
	began := time.Now()
	defer func() { m.metrics.took.WithLabelValues(j.to.name).Observe(time.Since(began).Seconds()) }()
	m.mu.Lock()
	externalURL := m.book.plan.cfg.ExternalURL
	m.mu.Unlock()
	return j.to.sender.send(ctx, &message{
		id: j.message, receiver: j.to.name, groupKey: j.id.key, labels: j.labels, alerts: j.alerts,
		reason: j.reason, externalURL: externalURL, at: m.opt.Now(),
	})
}

// messageID is the same for every try at telling the same change, over restarts too, so that
// receivers can leave out what they have had.
func messageID(j *job, before time.Time) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %d %q %q", j.id.receiver, j.id.key, before.UnixMicro(), j.told.Firing, j.told.Resolved)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func historyOf(j *job, answer string, err error, now time.Time) store.AlertEvent {
	e := store.AlertEvent{At: now, What: notified, Receiver: j.to.name, Labels: j.labels}
	common := commonOf(j.alerts, func(a *Alert) map[string]string { return a.Labels })
	e.AlertName = common[model.AlertNameLabel]
	if e.Labels == nil {
		e.Labels = common
	}
	firing := 0
	for i := range j.alerts {
		if j.alerts[i].Firing {
			firing++
		}
	}
	parts := []string{fmt.Sprintf("%d firing, %d resolved", firing, len(j.alerts)-firing)}
	if j.reason != "" {
		parts = append(parts, j.reason)
	}
	if err != nil {
		e.What = failed
		parts = append(parts, err.Error())
	} else if answer != "" {
		parts = append(parts, answer)
	}
	e.Detail = strings.Join(parts, "; ")
	return e
}
