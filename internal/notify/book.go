package notify

import (
	"maps"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/store"
)

const (
	maxAlerts = 10_000 // that are held at once
	// patience is how long an alert that has ended waits for receivers that cannot be told.
	patience = 24 * time.Hour
)

// What the history says of alerts and notifications.
const (
	fired    = "fired"
	resolved = "resolved"
	notified = "notified"
	failed   = "failed"
)

// known is an alert and what is known of it.
type known struct {
	records map[string]store.Alert // by replica
	alert   Alert                  // the records put together
	rev     uint64                 // changes when the alert begins or ends
	saved   time.Time              // EndsAt of this replica's record as this process handed it to be stored
	noted   string                 // what the history says of it
	in      map[groupID]bool       // groups that have yet to be told something of it
}

// book is all that notifications are decided from. It has no clock, does no I/O and is not safe
// for concurrent use.
type book struct {
	plan     *plan
	source   string // this replica
	speaking bool   // whether this replica tells people; only then there are groups
	alerts   map[string]*known
	groups   map[groupID]*group
	log      map[groupID]store.Told
	silences []silence
	revs     uint64
	pending  pending
	dropped  uint64 // alerts there was no room for
	loadedAt time.Time
	era      uint64 // grows when the speaking ends: jobs from before must not go on after
}

func newBook(p *plan, source string) *book {
	return &book{
		plan: p, source: source, alerts: map[string]*known{}, groups: map[groupID]*group{},
		log: map[groupID]store.Told{}, pending: newPending(),
	}
}

// observe takes in what this replica's evaluator says of an alert.
func (b *book) observe(r store.Alert, now time.Time) {
	k := b.alerts[r.Fingerprint]
	if k == nil {
		if r.Resolved { // told and forgotten; the evaluator goes on saying so for a while
			return
		}
		if len(b.alerts) >= maxAlerts {
			b.dropped++
			return
		}
		k = b.add(r.Fingerprint)
	}
	last, heard := k.records[b.source]
	if heard && last.Resolved && r.Resolved {
		return
	}
	if heard && active(&last, now) && active(&r, now) && last.StartsAt.Before(r.StartsAt) {
		r.StartsAt = last.StartsAt // an evaluator that was restarted
	}
	k.records[b.source] = r
	// Resends change nothing but EndsAt. It is kept up to date by half its span, so that a replica
	// that is gone is noticed in time and a firing alert costs a write in minutes.
	if !heard || r.Resolved || !active(&last, now) || r.EndsAt.Sub(k.saved) >= r.EndsAt.Sub(now)/2 {
		k.saved = r.EndsAt
		b.pending.alerts[r.Fingerprint] = r
	}
	b.refresh(k, now)
}

func (b *book) add(fingerprint string) *known {
	k := &known{records: map[string]store.Alert{}, in: map[groupID]bool{}}
	b.alerts[fingerprint] = k
	return k
}

// refresh puts an alert's records together again and acts on what has changed.
func (b *book) refresh(k *known, now time.Time) {
	before := k.alert
	if len(k.records) > 0 {
		k.alert = merge(k.records, now)
	} else { // somebody removed it from the database
		k.alert.Firing, k.alert.EndsAt = false, now
	}
	if k.rev > 0 && before.Firing == k.alert.Firing {
		return
	}
	b.revs++
	k.rev = b.revs
	if b.speaking {
		b.note(k, now)
		b.join(k, now)
	}
}

// note writes the history of an alert's beginning and end.
func (b *book) note(k *known, now time.Time) {
	what := resolved
	if k.alert.Firing {
		what = fired
	}
	if k.noted == what || what == resolved && k.noted != fired {
		return
	}
	k.noted = what
	b.pending.noted[k.alert.Fingerprint] = what
	b.pending.remember(store.AlertEvent{At: now, What: what, Fingerprint: k.alert.Fingerprint,
		AlertName: k.alert.Name(), Labels: k.alert.Labels, Detail: k.alert.Annotations["summary"]})
}

// sweep ends the alerts that were not heard of again.
func (b *book) sweep(now time.Time) {
	for _, k := range b.alerts {
		if k.alert.Firing && !k.alert.EndsAt.After(now) {
			b.refresh(k, now)
		}
		if !k.alert.Firing && b.speaking && now.Sub(k.alert.EndsAt) > patience {
			for id := range k.in {
				b.leave(k, b.groups[id])
			}
			b.forget(k)
		}
	}
}

// forget lets go of an alert that has ended and that nobody has to be told about.
func (b *book) forget(k *known) {
	if k.alert.Firing || len(k.in) > 0 || !b.speaking {
		return
	}
	fp := k.alert.Fingerprint
	delete(b.alerts, fp)
	delete(b.pending.alerts, fp)
	delete(b.pending.noted, fp)
	b.pending.ended[fp] = true
}

// speak begins or ends this replica's telling people. Everything that is known and may be new to
// a receiver is grouped; the log decides what really is.
func (b *book) speak(yes bool, now time.Time) {
	b.speaking = yes
	b.regroup(now)
	if !yes {
		b.era++
		return
	}
	for _, k := range b.alerts {
		b.note(k, now)
		b.forget(k)
	}
}

// load takes in what the database has. Of the log and of this replica's own alerts what is in
// memory counts, unless whole is true: then another may have written since.
func (b *book) load(a store.Alerting, whole bool, now time.Time) {
	if b.loadedAt.IsZero() {
		b.loadedAt = now
	}
	b.loadSilences(a.Silences)
	if whole {
		b.log = make(map[groupID]store.Told, len(a.Told))
		for _, t := range a.Told {
			b.log[groupID{t.Receiver, t.GroupKey}] = t
		}
		for id, t := range b.pending.told {
			b.log[id] = t
		}
	}
	stored := b.records(a.Alerts, whole)
	for fp, k := range b.alerts {
		_, unsaved := b.pending.alerts[fp]
		if !b.speaking && !unsaved && !k.alert.Firing && k.rev > 0 && stored[fp] == nil {
			delete(b.alerts, fp) // the one who speaks has told it and removed it
			continue
		}
		own, heard := k.records[b.source]
		k.records = map[string]store.Alert{}
		for _, r := range stored[fp] {
			k.records[r.Source] = r
		}
		if heard {
			k.records[b.source] = own
		}
		b.refresh(k, now)
	}
}

// records makes room for the alerts that the database has, and returns its records by alert.
func (b *book) records(all []store.Alert, whole bool) map[string][]store.Alert {
	if whole {
		for _, k := range b.alerts {
			k.noted = ""
		}
	}
	stored := make(map[string][]store.Alert, len(all))
	for _, r := range all {
		k := b.alerts[r.Fingerprint]
		if k == nil {
			if b.pending.ended[r.Fingerprint] {
				continue
			}
			if len(b.alerts) >= maxAlerts {
				b.dropped++
				continue
			}
			k = b.add(r.Fingerprint)
		}
		if k.noted == "" {
			k.noted = r.Noted
		}
		if what, unsaved := b.pending.noted[r.Fingerprint]; unsaved {
			k.noted = what
		}
		stored[r.Fingerprint] = append(stored[r.Fingerprint], b.prolonged(r))
	}
	return stored
}

// prolonged gives a record from before this process began time to be renewed: it may be as old as
// the outage, and whoever reports it has as long to do so again as it had then.
func (b *book) prolonged(r store.Alert) store.Alert {
	span := r.EndsAt.Sub(r.UpdatedAt)
	if limit := b.loadedAt.Add(span); !r.Resolved && span > 0 && r.UpdatedAt.Before(b.loadedAt) && r.EndsAt.Before(limit) {
		r.EndsAt = limit
	}
	return r
}

// next is when there is something to do, at the latest.
func (b *book) next(now time.Time) time.Time {
	at := now.Add(time.Minute)
	earlier := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	for _, k := range b.alerts {
		if k.alert.Firing {
			earlier(k.alert.EndsAt)
		}
	}
	for _, g := range b.groups {
		if !g.busy {
			earlier(g.next)
		}
	}
	return at
}

// list returns all alerts, those that began last first.
func (b *book) list() []Alert {
	all := make([]Alert, 0, len(b.alerts))
	for _, fp := range slices.Sorted(maps.Keys(b.alerts)) {
		all = append(all, b.alerts[fp].alert)
	}
	slices.SortStableFunc(all, func(x, y Alert) int { return y.StartsAt.Compare(x.StartsAt) })
	return all
}
