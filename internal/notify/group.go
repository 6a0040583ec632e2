package notify

import (
	"maps"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/store"
)

const (
	// resend is how often an Alertmanager hears of an active alert, as from Prometheus.
	resend = time.Minute
	// streamPatience is how long an Alertmanager that is away must still be told of an end; it
	// knows EndsAt and ends alerts by itself.
	streamPatience = 15 * time.Minute
	// maxStream is how many alerts an Alertmanager gets in one request.
	maxStream = 256
)

// groupID names what a receiver is told about together.
type groupID struct{ receiver, key string }

// group is the alerts that a receiver is told about together. A receiver that streams has one
// group for all.
type group struct {
	id      groupID
	to      *receiver
	labels  map[string]string
	members map[string]*known
	acked   map[string]ack // of a receiver that streams: what it has heard
	next    time.Time
	busy    bool // a job of it is under way
}

type ack struct {
	rev uint64
	at  time.Time
}

// job is one notification to be sent.
type job struct {
	id      groupID
	to      *receiver
	labels  map[string]string
	alerts  []Alert
	revs    map[string]uint64 // what the alerts were, and those that are silenced
	told    store.Told        // what the log will say
	reason  string
	message string // identifies the notification; the same for each try
	expires time.Time
	era     uint64
}

// join puts an alert into the groups of all receivers it is for.
func (b *book) join(k *known, now time.Time) {
	for _, r := range b.plan.receivers {
		if !matches(r.matchers, k.alert.Labels) {
			continue
		}
		id := groupID{receiver: r.name}
		var labels map[string]string
		if !r.streams() {
			labels = b.plan.groupOf(k.alert.Labels)
			id.key = groupKey(labels)
		}
		g := b.groups[id]
		if g == nil {
			g = &group{id: id, to: r, labels: labels, members: map[string]*known{}, acked: map[string]ack{}}
			g.next = now.Add(b.plan.cfg.GroupWait)
			if k.alert.StartsAt.Add(b.plan.cfg.GroupWait).Before(now) {
				g.next = now // it has waited elsewhere
			}
			b.groups[id] = g
		}
		if r.streams() {
			g.next = now
		}
		g.members[k.alert.Fingerprint] = k
		k.in[id] = true
	}
}

func (b *book) leave(k *known, g *group) {
	delete(k.in, g.id)
	delete(g.members, k.alert.Fingerprint)
	delete(g.acked, k.alert.Fingerprint)
	if len(g.members) == 0 && !g.busy {
		delete(b.groups, g.id)
	}
}

// regroup makes all groups anew, after the receivers or who speaks have changed. A group that
// stays keeps its time and what is under way.
func (b *book) regroup(now time.Time) {
	old := b.groups
	b.groups = map[groupID]*group{}
	for _, k := range b.alerts {
		k.in = map[groupID]bool{}
		if b.speaking {
			b.join(k, now)
		}
	}
	for id, g := range b.groups {
		if was := old[id]; was != nil {
			g.next, g.busy, g.acked = was.next, was.busy, was.acked
		}
	}
	for id, was := range old { // so that nothing is sent twice at once
		if to := b.plan.receiver(id.receiver); was.busy && b.groups[id] == nil && b.speaking && to != nil {
			b.groups[id] = &group{id: id, to: to, labels: was.labels, members: map[string]*known{},
				acked: map[string]ack{}, next: was.next, busy: true}
		}
	}
}

// due returns what is to be sent now. Each of these is to be ended with finish.
func (b *book) due(now time.Time) []*job {
	var jobs []*job
	for _, g := range b.groups {
		if g.busy || g.next.After(now) {
			continue
		}
		var j *job
		if g.to.streams() {
			j = b.dueStream(g, now)
		} else {
			j = b.dueGroup(g, now)
		}
		if j == nil {
			continue
		}
		g.busy, j.era = true, b.era
		jobs = append(jobs, j)
	}
	return jobs
}

// dueGroup decides as Alertmanager does whether a group is told now.
func (b *book) dueGroup(g *group, now time.Time) *job {
	g.next = now.Add(b.plan.cfg.GroupInterval)
	j := &job{id: g.id, to: g.to, labels: g.labels, revs: map[string]uint64{}, expires: g.next}
	j.told = store.Told{Receiver: g.id.receiver, GroupKey: g.id.key, At: now, Firing: []string{}, Resolved: []string{}}
	for _, fp := range slices.Sorted(maps.Keys(g.members)) {
		k := g.members[fp]
		j.revs[fp] = k.rev
		if len(b.silencedBy(k.alert.Labels, now)) > 0 {
			continue
		}
		if k.alert.Firing {
			j.told.Firing = append(j.told.Firing, fp)
		} else {
			j.told.Resolved = append(j.told.Resolved, fp)
		}
		if k.alert.Firing || g.to.resolved {
			j.alerts = append(j.alerts, k.alert)
		}
	}
	before, known := b.log[g.id]
	j.reason = reason(before, known, &j.told, g.to.resolved, b.plan.cfg.RepeatInterval, now)
	silenced := len(j.told.Firing)+len(j.told.Resolved) == 0
	if j.reason == "" || silenced {
		b.settle(g, j)
		return nil
	}
	if len(j.alerts) == 0 { // ends that this receiver does not want to hear of; the log does
		b.tell(j)
		b.settle(g, j)
		return nil
	}
	j.message = messageID(j, before.At)
	return j
}

// reason says why a group is told now; empty = it is not.
func reason(before store.Told, known bool, now *store.Told, ends bool, repeat time.Duration, at time.Time) string {
	switch {
	case !known && len(now.Firing) > 0:
		return "first notification"
	case !known:
		return ""
	case !subset(now.Firing, before.Firing):
		return "new alerts"
	case len(now.Firing) == 0 && len(before.Firing) > 0:
		return "all alerts resolved"
	case len(now.Firing) == 0:
		return ""
	case ends && !subset(now.Resolved, before.Resolved):
		return "some alerts resolved"
	case before.At.Before(at.Add(-repeat)):
		return "repeat interval"
	}
	return ""
}

func subset(of, all []string) bool {
	for _, s := range of {
		if !slices.Contains(all, s) {
			return false
		}
	}
	return true
}

// dueStream collects what an Alertmanager has not heard of, or not for a while.
func (b *book) dueStream(g *group, now time.Time) *job {
	j := &job{id: g.id, to: g.to, revs: map[string]uint64{}, expires: now.Add(resend)}
	g.next = now.Add(resend)
	for _, fp := range slices.Sorted(maps.Keys(g.members)) {
		k, heard := g.members[fp], g.acked[fp]
		if !k.alert.Firing && now.Sub(k.alert.EndsAt) > streamPatience {
			b.leave(k, g)
			b.forget(k)
			continue
		}
		if heard.rev == k.rev && now.Sub(heard.at) < resend {
			if t := heard.at.Add(resend); t.Before(g.next) {
				g.next = t
			}
			continue
		}
		if len(j.alerts) == maxStream {
			g.next = now
			break
		}
		j.revs[fp] = k.rev
		j.alerts = append(j.alerts, k.alert)
		if heard.rev != k.rev {
			j.reason = "changed"
		}
	}
	if len(j.alerts) == 0 {
		return nil
	}
	j.told.At = now
	return j
}

// finish ends a job: what was told is logged, and alerts that have ended leave the group unless
// they have changed meanwhile. A job that failed comes again with the group's next turn.
func (b *book) finish(j *job, sent bool, notBefore time.Time) {
	g := b.groups[j.id]
	if sent && !j.to.streams() {
		b.tell(j)
	}
	if g == nil {
		return
	}
	g.busy = false
	if g.next.Before(notBefore) {
		g.next = notBefore
	}
	if sent {
		b.settle(g, j)
	}
	if len(g.members) == 0 {
		delete(b.groups, g.id)
	}
}

func (b *book) tell(j *job) {
	b.log[j.id] = j.told
	b.pending.told[j.id] = j.told
}

// settle lets alerts that have ended leave a group that knows.
func (b *book) settle(g *group, j *job) {
	for fp, rev := range j.revs {
		k := g.members[fp]
		if k == nil {
			continue
		}
		if g.to.streams() {
			g.acked[fp] = ack{rev: rev, at: j.told.At}
		}
		if k.rev == rev && !k.alert.Firing {
			b.leave(k, g)
			b.forget(k)
		}
	}
}
