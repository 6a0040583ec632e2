package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func retainStories() []story {
	return []story{
		{"the oldest expire first, step by step", expireInSteps},
		{"what was received lately stays a duplicate", expireNotLate},
		{"the size is known", knownSize},
		{"roll-ups are not what events take", sizeWithoutRollups},
	}
}

const day = 24 * time.Hour

func expireInSteps(b *bench) {
	var list []event.Event
	for i := range 10 {
		list = append(list, at(fmt.Sprint("e", i), time.Duration(-i)*day))
	}
	b.commit(list...)
	b.clock.advance(10 * day)
	before := epoch.Add(-2 * day) // half-open: e2 stays
	for _, want := range []struct {
		deleted int64
		left    int
	}{{3, 7}, {3, 4}, {1, 3}, {0, 3}} {
		n, err := b.store.Expire(b.Context(), before, 3)
		b.ok(err)
		if got := b.ids(store.Filter{}); n != want.deleted || !slices.Equal(got, idsOf(list[:want.left])) {
			b.Errorf("%d deleted, left are %v", n, got)
		}
	}
	b.ok(b.store.Settle(b.Context()))
	_, err := b.store.Expire(b.Context(), before, 0)
	b.wantKind(err, errs.Internal)
}

// expireNotLate: an event of long ago that came in a moment ago is not deleted until its id may be
// forgotten, and so is never stored twice; a deleted event stays deleted.
func expireNotLate(b *bench) {
	late := at("late", 0)
	late.Timestamp = epoch.Add(-1000 * day)
	b.commit(late, at("gone", 0))
	b.ok(b.store.Delete(b.Context(), "gone"))
	b.clock.advance(store.Window - time.Minute)
	if n, err := b.store.Expire(b.Context(), epoch, 100); n != 0 || err != nil {
		b.Errorf("%d deleted within the window, %v", n, err)
	}
	b.wantDuplicates(b.commit(late, at("gone", 0)), "late", "gone")
	b.clock.advance(2 * time.Minute)
	if n, err := b.store.Expire(b.Context(), epoch, 100); n != 1 || err != nil {
		b.Errorf("%d deleted after the window, %v", n, err)
	}
}

func knownSize(b *bench) {
	b.commit(NewGenerator(5, epoch).Events(20_000)...)
	b.ok(b.store.Settle(b.Context()))
	z, err := b.store.Size(b.Context())
	b.ok(err)
	if per := z.Live / max(z.Events, 1); z.Events != 20_000 || z.Live > z.Bytes || per < 50 || per > 600 {
		b.Errorf("%+v: %d bytes an event", z, per)
	}
}

// sizeWithoutRollups: what outlives events must not count as theirs, else more and more of them would
// be deleted for it.
func sizeWithoutRollups(b *bench) {
	list := NewGenerator(6, epoch).Events(3_000)
	for i := range list {
		list[i].Timestamp = epoch.Add(time.Duration(-i) * time.Hour)
		list[i].ReceivedAt = list[i].Timestamp
	}
	b.commit(list...)
	b.ok(b.store.TidyRollups(b.Context()))
	b.clock.advance(store.Window + time.Hour)
	n, err := b.store.Expire(b.Context(), epoch, 10_000)
	b.ok(err)
	b.ok(b.store.Compact(b.Context()))
	z, err := b.store.Size(b.Context())
	b.ok(err)
	if n < 2_900 || z.Events > 100 || z.Live > 1<<20 {
		b.Errorf("%d deleted, left are %+v", n, z)
	}
}
