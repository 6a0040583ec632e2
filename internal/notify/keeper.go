package notify

import (
	"context"
	"errors"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/store"
)

const (
	office = "notify"
	// longestAnswer is how long the database may take before it counts as away; it is darkTime once
	// it does, so that what is to be sent hardly waits for it.
	longestAnswer = 5 * time.Second
	darkTime      = time.Second
	// What is kept of the past.
	keepHistory  = 30 * 24 * time.Hour
	keepLog      = 5 * 24 * time.Hour // at least; longer with long repeat intervals
	keepSilences = 5 * 24 * time.Hour
	pruneEvery   = time.Hour
)

// keep renews the term of office, reads what other replicas report, and stores what has changed.
func (m *Manager) keep(ctx context.Context) {
	beat := time.NewTicker(m.opt.Interval / 3)
	defer beat.Stop()
	var pruned time.Time
	m.beat(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			m.beat(ctx)
			if now := m.opt.Now(); m.holds() != nil && now.Sub(pruned) > pruneEvery {
				pruned = now
				m.prune(ctx, now)
			}
		case <-m.changed:
		}
		if err := m.save(ctx); err != nil && ctx.Err() == nil {
			m.log.Debug("what is known of alerts waits to be stored", "cause", err)
		}
	}
}

// beat stands for election and acts on the outcome.
func (m *Manager) beat(ctx context.Context) {
	var term store.Term
	var held bool
	var found store.Alerting
	err := m.ask(ctx, m.asking, m.answerTime(), func(ctx context.Context) (err error) {
		if term, held, err = m.opt.Office.Elect(ctx, office, m.holder, m.opt.Interval); err != nil {
			return err
		}
		if last := m.holds(); last != nil && term.Alone {
			return nil // nobody else writes
		}
		found, err = m.opt.Store.LoadAlerting(ctx)
		return err
	})
	if ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.opt.Now()
	m.beaten = time.Now()
	defer ring(m.wake)
	if err != nil {
		m.inTheDark(now, err)
		return
	}
	if !m.dark.IsZero() {
		m.log.Info("the database answers again", "away", now.Sub(m.dark).String())
		m.dark = time.Time{}
	}
	m.known = true
	if !held {
		m.stepDown("another replica notifies")
		m.book.load(found, true, now)
		return
	}
	taken := m.term == nil || *m.term != term
	if taken || !term.Alone {
		m.book.load(found, taken, now)
	}
	if taken {
		m.term = &term
		m.log.Info("this replica notifies", "term", term.Number)
		m.book.speak(true, now)
	}
}

// inTheDark goes on without the database. Who holds the office speaks on: nobody can take it over.
// The others speak too when it lasts: the holder may be as dead as the database.
func (m *Manager) inTheDark(now time.Time, err error) {
	if m.dark.IsZero() {
		m.dark = now
		m.log.Warn("the database is away; alerts are kept in memory", "cause", err)
	}
	if !m.book.speaking && now.Sub(m.dark) >= m.darkPatience() {
		m.log.Warn("the database has been away for long: this replica notifies without it, and so may others")
		m.book.speak(true, now)
	}
}

// darkPatience is how long a replica that does not hold the office bears the dark.
func (m *Manager) darkPatience() time.Duration {
	if m.known {
		return 8 * m.opt.Interval
	}
	return 2 * m.opt.Interval // nothing is known of a holder
}

// stepDown leaves the speaking to another replica.
func (m *Manager) stepDown(why string) {
	if m.term != nil || m.book.speaking {
		m.log.Info("this replica does not notify", "cause", why)
		m.book.speak(false, m.opt.Now())
	}
	m.term = nil
	m.book.pending.dropSpoken()
}

func (m *Manager) holds() *store.Term {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.term
}

// maySpeak asks right before each try whether this process is still the one to speak, and renews
// its term so that nobody takes over while the try lasts. One that was frozen finds out here: an
// answer from before says nothing, and an error counts as the dark only while the keeper, awake,
// finds it dark too.
func (m *Manager) maySpeak(ctx context.Context, era uint64) bool {
	for ctx.Err() == nil {
		asked := time.Now()
		var term store.Term
		var held bool
		err := m.ask(ctx, m.fencing, m.fenceTime(), func(ctx context.Context) (err error) {
			term, held, err = m.opt.Office.Elect(ctx, office, m.holder, m.opt.Interval)
			return err
		})
		if ctx.Err() != nil {
			return false
		}
		if time.Since(asked) <= m.opt.Interval/2 && (err == nil || m.awake()) {
			return m.judge(term, held, err, era)
		}
		timer := time.NewTimer(m.opt.Interval / 10)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	return false
}

// judge says what an answer to maySpeak's question means for a job of an era.
func (m *Manager) judge(term store.Term, held bool, err error, era uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if era != m.book.era {
		return false
	}
	if err != nil {
		return m.book.speaking
	}
	if held && m.term != nil && *m.term == term {
		return true
	}
	// The keeper's next beat sorts it out, whoever holds the office now.
	m.stepDown("another replica has taken over")
	return false
}

// awake reports whether the keeper has been at work lately.
func (m *Manager) awake() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Since(m.beaten) <= m.opt.Interval
}

func (m *Manager) fenceTime() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dark.IsZero() {
		return m.answerTime()
	}
	return min(darkTime, m.answerTime())
}

// answerTime is how long the database may take before it counts as away. It is well below a term,
// so that longer means that this process stood still.
func (m *Manager) answerTime() time.Duration { return min(longestAnswer, m.opt.Interval/3) }

// ask puts a question to the database and does not wait longer than limit, though the database
// may. One question of a sort is open at a time.
func (m *Manager) ask(ctx context.Context, one chan struct{}, limit time.Duration, question func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	select {
	case one <- struct{}{}:
	case <-ctx.Done():
		cancel()
		return errs.New(errs.Unavailable, "the database gives no answer")
	}
	answer := make(chan error, 1)
	m.questions.Go(func() {
		defer cancel()
		defer func() { <-one }()
		answer <- question(ctx)
	})
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-answer: // it came first: the end of a question ends its context
		return err
	default:
		return errs.New(errs.Unavailable, "the database gives no answer in time")
	}
}

// save stores what waits. What cannot be stored waits on, unless another has taken over.
func (m *Manager) save(ctx context.Context) error {
	m.saving.Lock()
	defer m.saving.Unlock()
	m.mu.Lock()
	if m.book.pending.empty() || m.term == nil && len(m.book.pending.alerts) == 0 {
		m.mu.Unlock()
		return nil
	}
	changes, taken := m.book.pending.take(m.term)
	m.mu.Unlock()
	err := m.ask(ctx, m.asking, m.answerTime(), func(ctx context.Context) error { return m.opt.Store.SaveAlerting(ctx, &changes) })
	if err == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case errs.Is(err, errs.Conflict):
		m.book.pending.giveBack(taken)
		m.stepDown("another replica has taken over")
	case errs.Is(err, errs.Invalid):
		m.log.Error("the database refuses what is known of alerts", "cause", err)
	default:
		m.book.pending.giveBack(taken)
	}
	return err
}

func (m *Manager) prune(ctx context.Context, now time.Time) {
	term := m.holds()
	if term == nil {
		return
	}
	m.mu.Lock()
	untold := now.Add(-max(keepLog, 2*m.book.plan.cfg.RepeatInterval))
	for id, t := range m.book.log {
		if t.At.Before(untold) {
			delete(m.book.log, id)
		}
	}
	m.mu.Unlock()
	c := store.AlertingChanges{Term: term, Forget: now.Add(-keepHistory), Untold: untold, Unsilent: now.Add(-keepSilences)}
	err := m.ask(ctx, m.asking, m.answerTime(), func(ctx context.Context) error { return m.opt.Store.SaveAlerting(ctx, &c) })
	if err != nil && !errors.Is(err, context.Canceled) {
		m.log.Warn("remove old history of alerts", "cause", err)
	}
}
