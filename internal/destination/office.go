package destination

import (
	"context"
	"time"
)

// inOffice reports whether this process may deliver: its term runs, by its own clock.
func (m *Manager) inOffice() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.holding && (m.term.Alone || m.opt.Now().Sub(m.renewed) < termFor-2*lookEvery)
}

// patience is how long the database may take to answer: not beyond the term, because deliveries
// must have ended by then.
func (m *Manager) patience() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.holding || m.term.Alone {
		return longestLook
	}
	left := m.renewed.Add(termFor - 2*lookEvery).Sub(m.opt.Now())
	return min(max(left, lookEvery/2), longestLook)
}

func (m *Manager) elect(ctx context.Context) error {
	m.mu.Lock()
	idle := len(m.known) == 0 && !m.holding
	fresh := m.holding && (m.term.Alone || m.opt.Now().Sub(m.renewed) < termFor-renewWhen)
	m.mu.Unlock()
	if idle || fresh {
		return nil
	}
	asked := m.opt.Now()
	term, ok, err := m.opt.Store.Elect(ctx, "destinations/"+m.stream, m.opt.Holder, termFor)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.holding = ok; ok {
		m.term, m.renewed = term, asked
	}
	return nil
}

// lose stops all deliveries: another replica may have begun them.
func (m *Manager) lose() {
	m.stopRunners(func(string) bool { return true })
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holding = false
	m.runners = map[string]*runner{}
}

// tidy forgets replicas that are gone, now and then.
func (m *Manager) tidy(ctx context.Context) {
	now := m.opt.Now()
	if now.Sub(m.tidied) < tidyEvery {
		return
	}
	m.tidied = now
	n, err := m.opt.Store.ForgetStreams(ctx, m.stream, now.Add(-forgetAfter))
	switch {
	case err != nil && ctx.Err() == nil:
		m.opt.Logger.Warn("what is kept of replicas that are gone is not removed yet", "cause", err)
	case n > 0:
		m.opt.Logger.Info("journals that nobody has been heard of are forgotten", "journals", n, "days", forgetAfter/(24*time.Hour))
	}
}
