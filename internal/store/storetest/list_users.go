package storetest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// SameHash and SameMark are users whose marks cannot be told apart; of the latter one has very many events.
var (
	SameHash = [2]string{"user-96524", "user-107718"}
	SameMark = [2]string{"user-34317", "user-136958"}
)

// listUsers compares lists of users with what is stored, over batches of all sizes, late events, many at
// the same time, deletions, an erasure and tidying in between.
func listUsers(b *bench) {
	r := rand.New(rand.NewPCG(11, 0))
	users := []string{"", SameMark[0], SameMark[1], "u1", "u2", SameHash[0], SameHash[1], "ü5'"}
	var all []event.Event
	for round, size := range []int{1, 3, 400, 2, 1, 1, 1500, 70, 1, 5, 300, 2, 900, 1, 1, 1, 1, 1} {
		batch := make([]event.Event, size)
		for i := range batch {
			e := at(fmt.Sprintf("e%02d-%04d", round, i), 0)
			e.UserID = SameMark[0]
			if r.IntN(3) == 0 {
				e.UserID = users[r.IntN(len(users))]
			}
			if e.UserID == SameMark[1] && round > 2 {
				e.UserID = SameMark[0] // so that there are few beside very many
			}
			back := time.Duration(r.IntN(40)) * time.Microsecond // often the same
			if r.IntN(2) == 0 {
				back = time.Duration(r.Int64N(int64(100 * day)))
			}
			e.Timestamp = epoch.Add(time.Hour - back).Truncate(time.Microsecond)
			e.ReceivedAt = b.now()
			e.Severity = []event.Severity{event.Low, event.High, event.Low}[r.IntN(3)]
			batch[i] = e
		}
		b.commit(batch...)
		all = append(all, batch...)
		gone := r.IntN(len(all))
		b.ok(b.store.Delete(b.Context(), all[gone].ID))
		all = slices.Delete(all, gone, gone+1)
		switch {
		case round%4 == 3:
			b.ok(b.store.TidyRollups(b.Context()))
		case round == 9:
			_, err := b.store.Erase(b.Context(), "erasure", SameHash[0], false)
			b.ok(err)
			all = slices.DeleteFunc(all, func(e event.Event) bool { return e.UserID == SameHash[0] })
			b.clock.advance(time.Hour) // what follows comes after it
		}
		if round%5 == 2 || round == 9 || round == 17 {
			b.sameLists(r, users, all)
		}
	}
}

// sameLists compares the lists of some users.
func (b *bench) sameLists(r *rand.Rand, users []string, all []event.Event) {
	b.Helper()
	want := slices.Clone(all)
	slices.SortFunc(want, func(x, y event.Event) int {
		return cmp.Or(y.Timestamp.Compare(x.Timestamp), cmp.Compare(y.ID, x.ID))
	})
	middle := want[len(want)/2].Timestamp
	for _, user := range append(users[1:], "nobody") {
		for _, f := range []store.Filter{
			{UserID: user}, {UserID: user, Severity: "high"}, {UserID: user, EventName: "none"}, {UserID: user, Start: middle},
			{UserID: user, End: middle}, {UserID: user, Start: middle.Add(-3 * day), End: middle.Add(3 * day)},
		} {
			of := idsOf(slices.DeleteFunc(slices.Clone(want), func(e event.Event) bool {
				return e.UserID != user || f.Severity != "" && string(e.Severity) != f.Severity || f.EventName != "" ||
					e.Timestamp.Before(f.Start) || !f.End.IsZero() && !e.Timestamp.Before(f.End)
			}))
			if got := b.pages(f, []int{3, 20, 1000}[r.IntN(3)]+len(of)/10); !slices.Equal(got, of) {
				b.Fatalf("%+v: %d events, want %d:\n got %v\nwant %v", f, len(got), len(of), got, of)
			}
		}
	}
}
