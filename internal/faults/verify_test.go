//go:build linux

package faults

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// account is the service's own ledger.
type account struct {
	Received     uint64 `json:"received"`
	Rejected     uint64 `json:"rejected"`
	SampledOut   uint64 `json:"sampled_out"`
	Accepted     uint64 `json:"accepted"`
	Stored       uint64 `json:"stored"`
	Duplicate    uint64 `json:"duplicate"`
	DeadLettered uint64 `json:"dead_lettered"`
	Pending      uint64 `json:"pending"`
	Lost         int64  `json:"lost"`
}

// check tells what in an account does not add up.
func (a *account) check() error {
	switch {
	case a.Lost != 0:
		return fmt.Errorf("lost %d", a.Lost)
	case a.Received != a.Rejected+a.SampledOut+a.Accepted:
		return fmt.Errorf("received %d != %d + %d + %d", a.Received, a.Rejected, a.SampledOut, a.Accepted)
	case a.Accepted != a.Stored+a.Duplicate+a.DeadLettered+a.Pending:
		return fmt.Errorf("accepted %d != %d + %d + %d + %d", a.Accepted, a.Stored, a.Duplicate, a.DeadLettered, a.Pending)
	}
	return nil
}

// settled waits until nothing is pending and returns the ledger, which must add up at each look.
func settled(t *testing.T, s *service) account {
	t.Helper()
	var a account
	proctest.Eventually(t, 3*time.Minute, "nothing pending", func() error {
		s.MustRun()
		a = account{}
		if err := s.ask("/api/analytics/ledger", &a); err != nil {
			return err
		}
		if err := a.check(); err != nil {
			t.Fatalf("the ledger does not add up: %v: %+v", err, a)
		}
		if a.Pending > 0 {
			return fmt.Errorf("%d pending", a.Pending)
		}
		return nil
	})
	return a
}

// stored pages through all events and returns how often each id is there.
func stored(t *testing.T, s *service) map[string]int {
	t.Helper()
	found := make(map[string]int)
	for cursor := ""; ; {
		var page struct {
			Events []struct {
				EventID string `json:"event_id"`
			} `json:"events"`
			Next string `json:"next_cursor"`
		}
		if err := s.ask("/api/analytics/events?limit=1000&cursor="+url.QueryEscape(cursor), &page); err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			found[e.EventID]++
		}
		if page.Next == "" {
			return found
		}
		if page.Next == cursor || len(page.Events) == 0 {
			t.Fatalf("a page of %d events whose next cursor leads nowhere", len(page.Events))
		}
		cursor = page.Next
	}
}

// verdict is the client's ledger held against what is stored.
type verdict struct {
	acknowledged, refused, unknown, dead int // ids
	lost, duplicated, leaked, foreign    int // ids; all must be 0
}

func (v verdict) String() string {
	s := fmt.Sprintf("acknowledged=%d lost=%d duplicated=%d refused=%d unknown=%d", v.acknowledged, v.lost, v.duplicated, v.refused, v.unknown)
	if v.dead > 0 {
		s += fmt.Sprintf(" dead_lettered=%d", v.dead)
	}
	return s
}

// judge holds the book against what is stored; dead ids are acknowledged and rightly not stored.
func (b *book) judge(found map[string]int, dead ...string) verdict {
	b.mu.Lock()
	defer b.mu.Unlock()
	var v verdict
	excused := make(map[string]bool, len(dead))
	for _, id := range dead {
		excused[id] = true
	}
	for id, f := range b.fates {
		n := found[id]
		if n > 1 {
			v.duplicated++
		}
		switch {
		case f.yes > 0 && excused[id]:
			v.dead++
		case f.yes > 0:
			v.acknowledged++
			if n == 0 {
				v.lost++
			}
		case f.cut > 0:
			v.unknown++
		default:
			v.refused++
			if n > 0 {
				v.leaked++
			}
		}
	}
	for id := range found {
		if b.fates[id] == nil {
			v.foreign++
		}
	}
	return v
}

// verify waits until all services have settled, then checks every promise. The services share one
// database; each has a ledger of its own.
func verify(t *testing.T, b *book, dead []string, services ...*service) []account {
	t.Helper()
	var sum account
	all := make([]account, len(services))
	for i, s := range services {
		a := settled(t, s)
		all[i] = a
		sum.Received += a.Received
		sum.Rejected += a.Rejected
		sum.Accepted += a.Accepted
		sum.Stored += a.Stored
		sum.Duplicate += a.Duplicate
		sum.DeadLettered += a.DeadLettered
	}
	found := stored(t, services[0])
	v := b.judge(found, dead...)
	t.Log(v)
	if v.acknowledged == 0 {
		t.Error("nothing was acknowledged: the story tells nothing")
	}
	if v.lost > 0 || v.duplicated > 0 {
		t.Errorf("%d acknowledged events are not stored, %d are stored twice", v.lost, v.duplicated)
	}
	if v.leaked > 0 {
		t.Errorf("%d refused events are stored", v.leaked)
	}
	if v.foreign > 0 {
		t.Errorf("%d events are stored that nobody sent", v.foreign)
	}
	b.compare(t, sum, len(found), len(dead))
	var stats struct {
		Total int `json:"total_events"`
	}
	if err := services[0].ask("/api/analytics/events/stats", &stats); err != nil || stats.Total != len(found) {
		t.Errorf("statistics count %d events, %v; %d are stored", stats.Total, err, len(found))
	}
	for _, fault := range b.faults {
		t.Error(fault)
	}
	return all
}

// compare holds the services' ledger against the client's: an event that was not answered may
// stand on either side.
func (b *book) compare(t *testing.T, a account, rows, dead int) {
	t.Helper()
	total := b.totals()
	if a.Stored != uint64(rows) {
		t.Errorf("the ledger says %d stored; %d are", a.Stored, rows)
	}
	if a.DeadLettered != uint64(dead) {
		t.Errorf("the ledger says %d dead-lettered; want %d", a.DeadLettered, dead)
	}
	if low, high := uint64(total.yes), uint64(total.yes+total.cut); a.Accepted < low || a.Accepted > high {
		t.Errorf("the ledger says %d accepted; the client had %d acknowledged and %d unanswered", a.Accepted, low, high-low)
	}
	if most := uint64(total.no + total.cut); a.Rejected > most {
		t.Errorf("the ledger says %d rejected; the client was refused %d, %d unanswered", a.Rejected, total.no, total.cut)
	}
}
