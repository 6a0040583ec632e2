package store

import (
	"fmt"
	"testing"
	"time"
)

// A filter that forgot an id would let a duplicate in; one that knows too many only costs time.
func TestSeenNeverForgets(t *testing.T) {
	ids := 1_000_000
	if testing.Short() {
		ids = 200_000
	}
	f := newSeen(2 * ids)
	wrong := 0
	for i := range ids {
		if f.add(fmt.Sprint("id-", i), time.Time{}) {
			wrong++
		}
	}
	if wrong > 2 {
		t.Errorf("took %d new ids of %d for known ones", wrong, ids)
	}
	for i := range ids {
		if !f.add(fmt.Sprint("id-", i), time.Time{}) {
			t.Fatalf("forgot id %d", i)
		}
	}
	if !f.complete(time.Unix(0, 0)) {
		t.Error("incomplete below its bound")
	}
	slots := 0
	for _, s := range f.segments {
		slots += 8 * len(s.tags)
	}
	if perID := 4 * slots / ids; perID > 10 {
		t.Errorf("%d bytes an id", perID)
	}
}

func TestSeenLetsTheOldestGo(t *testing.T) {
	const bound = 100_000
	f := newSeen(bound)
	start := time.Unix(1_000_000, 0)
	at := func(i int) time.Time { return start.Add(time.Duration(i) * time.Second) }
	const ids = 10 * bound
	for i := range ids {
		f.add(fmt.Sprint("id-", i), at(i))
	}
	if f.dropped.IsZero() || f.complete(start) {
		t.Fatal("nothing was let go")
	}
	if !f.complete(f.dropped.Add(time.Second)) {
		t.Error("incomplete after the newest id that was let go")
	}
	// All that came after the newest one let go are there, whatever the order within a segment.
	gone := int(f.dropped.Sub(start) / time.Second)
	for i := gone + 1; i < ids; i++ {
		if !f.add(fmt.Sprint("id-", i), at(i)) {
			t.Fatalf("forgot id %d, the newest let go is %d", i, gone)
		}
	}
	if f.count > 5*bound {
		t.Errorf("holds %d ids", f.count)
	}
}

// An id that was forgotten by the tables and stored again is in an old segment but not old.
func TestSeenRenewed(t *testing.T) {
	const bound = 60_000
	f := newSeen(bound)
	start := time.Unix(1_000_000, 0)
	f.add("again", start)
	later := start.Add(1000 * time.Hour)
	if !f.add("again", later) {
		t.Fatal("forgot it at once")
	}
	f.renew("again", later)
	for i := range 10 * bound {
		f.add(fmt.Sprint("id-", i), start.Add(time.Hour))
	}
	if f.complete(later) {
		t.Error("its segment was let go as if it were old")
	}
}
