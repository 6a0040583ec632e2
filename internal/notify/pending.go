package notify

import (
	"maps"
	"slices"

	"github.com/tidemark-obs/tidemark/internal/store"
)

// maxHistory is how many lines of history wait for the database; the oldest go first.
const maxHistory = 1000

// pending is what the database has yet to be told.
type pending struct {
	alerts  map[string]store.Alert // of this replica
	noted   map[string]string
	ended   map[string]bool
	told    map[groupID]store.Told
	history []store.AlertEvent
	lost    uint64 // lines of history there was no room for
}

func newPending() pending {
	return pending{
		alerts: map[string]store.Alert{}, noted: map[string]string{}, ended: map[string]bool{},
		told: map[groupID]store.Told{},
	}
}

func (p *pending) empty() bool {
	return len(p.alerts) == 0 && len(p.noted) == 0 && len(p.ended) == 0 && len(p.told) == 0 && len(p.history) == 0
}

func (p *pending) remember(e store.AlertEvent) {
	if len(p.history) >= maxHistory {
		p.history = p.history[1:]
		p.lost++
	}
	p.history = append(p.history, e)
}

// take hands over what waits. Only who holds the office may store more than its own alerts.
func (p *pending) take(term *store.Term) (store.AlertingChanges, pending) {
	taken := *p
	*p = newPending()
	p.lost = taken.lost
	if term == nil {
		p.noted, p.ended, p.told, p.history = taken.noted, taken.ended, taken.told, taken.history
		taken.noted, taken.ended, taken.told, taken.history = nil, nil, nil, nil
	}
	c := store.AlertingChanges{Term: term, Noted: taken.noted, History: taken.history}
	for _, fp := range slices.Sorted(maps.Keys(taken.alerts)) {
		c.Alerts = append(c.Alerts, taken.alerts[fp])
	}
	c.Ended = slices.Sorted(maps.Keys(taken.ended))
	for _, t := range taken.told {
		c.Told = append(c.Told, t)
	}
	return c, taken
}

// giveBack puts what could not be stored before what has come since.
func (p *pending) giveBack(taken pending) {
	for fp, r := range taken.alerts {
		if _, newer := p.alerts[fp]; !newer && !p.ended[fp] {
			p.alerts[fp] = r
		}
	}
	for fp, what := range taken.noted {
		if _, newer := p.noted[fp]; !newer && !p.ended[fp] {
			p.noted[fp] = what
		}
	}
	for fp := range taken.ended {
		p.ended[fp] = true
	}
	for id, t := range taken.told {
		if _, newer := p.told[id]; !newer {
			p.told[id] = t
		}
	}
	since := p.history
	p.history = nil
	for _, e := range append(taken.history, since...) {
		p.remember(e)
	}
}

// dropSpoken forgets what another replica now speaks for; this replica's own alerts stay.
func (p *pending) dropSpoken() {
	alerts, lost := p.alerts, p.lost
	*p = newPending()
	p.alerts, p.lost = alerts, lost
}
