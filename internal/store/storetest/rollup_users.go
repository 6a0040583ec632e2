package storetest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func statsRollupStories() []story {
	return []story{
		{"equal a recomputation", statsOverHistory},
		{"few events are counted one by one", statsOfFew},
		{"the top of many users", topOfMany},
	}
}

// sketchUsers has statistics take users from roll-ups also where there are few events.
func (b *bench) sketchUsers() {
	b.Helper()
	b.cfg.FewEvents = 1
	b.reopen()
}

// recomputed are the statistics of events, with all users in TopUsers.
func recomputed(events []event.Event, span question.Span) store.Stats {
	st := store.Stats{ByType: map[string]int64{}, BySeverity: map[string]int64{}}
	users, names := map[string]int64{}, map[string]int64{}
	for i := range events {
		e := &events[i]
		if e.Timestamp.Before(span.Start) || !e.Timestamp.Before(span.End) {
			continue
		}
		st.TotalEvents++
		st.ByType[string(e.Type)]++
		st.BySeverity[string(e.Severity)]++
		names[e.Name]++
		if e.Processed {
			st.ProcessedEvents++
		}
		if e.UserID != "" {
			users[e.UserID]++
		}
	}
	st.UnprocessedEvents = st.TotalEvents - st.ProcessedEvents
	st.UniqueUsers = int64(len(users))
	st.TopUsers, st.TopEvents = ranked(users), ranked(names)
	st.TopEvents = st.TopEvents[:min(10, len(st.TopEvents))]
	return st
}

func ranked(counts map[string]int64) []store.Count {
	var list []store.Count
	for value, n := range counts {
		list = append(list, store.Count{Value: value, Count: n})
	}
	slices.SortFunc(list, func(a, b store.Count) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return list
}

// sameStats compares statistics with a recomputation: all of it exactly but users, who must lie
// within what the answer says. It returns the answer.
func (b *bench) sameStats(events []event.Event, span question.Span) store.Stats {
	b.Helper()
	got, err := b.store.Stats(b.Context(), span.Start, span.End)
	b.ok(err)
	want := recomputed(events, span)
	if got.TotalEvents != want.TotalEvents || got.ProcessedEvents != want.ProcessedEvents || got.UnprocessedEvents != want.UnprocessedEvents ||
		!maps.Equal(got.ByType, want.ByType) || !maps.Equal(got.BySeverity, want.BySeverity) || !slices.Equal(got.TopEvents, want.TopEvents) {
		b.Errorf("%v to %v:\ngot  %+v\nwant %+v", span.Start, span.End, got, want)
	}
	b.near(float64(got.UniqueUsers), float64(want.UniqueUsers), got.UsersBound)
	b.topWithin(&got, want.TopUsers)
	return got
}

// topWithin checks the top users against all users there are.
func (b *bench) topWithin(got *store.Stats, all []store.Count) {
	b.Helper()
	if got.TopUsersMore == 0 {
		if want := all[:min(10, len(all))]; !slices.Equal(got.TopUsers, want) {
			b.Errorf("top users %v, want %v", got.TopUsers, want)
		}
		return
	}
	least := int64(0)
	if len(got.TopUsers) == 10 {
		least = got.TopUsers[9].Count
	}
	if !slices.IsSortedFunc(got.TopUsers, func(a, b store.Count) int { return cmp.Compare(b.Count, a.Count) }) {
		b.Errorf("not in order: %v", got.TopUsers)
	}
	listed := map[string]int64{}
	for _, c := range got.TopUsers {
		listed[c.Value] = c.Count
	}
	for _, c := range all {
		n, ok := listed[c.Value]
		if delete(listed, c.Value); ok && (c.Count < n || c.Count > n+got.TopUsersMore) || !ok && c.Count > least+got.TopUsersMore {
			b.Errorf("%s has %d events, listed with %d, the tenth with %d, up to %d more", c.Value, c.Count, n, least, got.TopUsersMore)
		}
	}
	if len(listed) > 0 {
		b.Errorf("users of no events: %v", listed)
	}
}

func statsOverHistory(b *bench) {
	b.sketchUsers()
	w := newWorkload(b, 60)
	estimated := 0
	for range fewer(4, 2) {
		w.run(fewer(120, 80))
		for tidy := range 2 {
			b.clock.advance(pick(w.r, clockChanges...).Add(time.Duration(w.r.Int64N(int64(48 * time.Hour)))).Sub(b.clock.Now()))
			for range 10 {
				if st := b.sameStats(w.events, w.rollupSpan()); st.UsersBound > 0 {
					estimated++
				}
			}
			if tidy == 0 && w.r.IntN(3) > 0 {
				b.ok(b.store.TidyRollups(b.Context()))
			}
		}
	}
	if estimated < fewer(20, 10) {
		b.Errorf("users of only %d statistics came from roll-ups", estimated)
	}
}

func statsOfFew(b *bench) {
	w := newWorkload(b, 61)
	w.run(200)
	for range 2 {
		for range 10 {
			if st := b.sameStats(w.events, w.rollupSpan()); st.UsersBound != 0 || st.TopUsersMore != 0 {
				b.Errorf("not exact: %+v", st)
			}
		}
		b.ok(b.store.TidyRollups(b.Context()))
	}
}

// topOfMany has more users than any bucket keeps: some with many events, most with few.
func topOfMany(b *bench) {
	b.sketchUsers()
	w := newWorkload(b, 62)
	var events []event.Event
	for part := range 6 {
		batch := make([]event.Event, 3_000)
		for i := range batch {
			e := at(fmt.Sprintf("m%d-%d", part, i), time.Duration(w.r.Int64N(int64(40*time.Hour))))
			user := w.r.IntN(4_000)
			if w.r.IntN(2) == 0 {
				user = int(w.r.ExpFloat64() * 8)
			}
			e.UserID = fmt.Sprint("u", user)
			batch[i] = e
		}
		b.commit(batch...)
		events = append(events, batch...)
		if part%2 == 1 {
			b.ok(b.store.TidyRollups(b.Context()))
		}
	}
	whole, ragged := wholeSpan(), wholeSpan()
	ragged.Start, ragged.End = epoch.Add(100*time.Minute), epoch.Add(30*time.Hour)
	ask := func() {
		for _, span := range []question.Span{whole, ragged} {
			st := b.sameStats(events, span)
			if folded := st.TopUsersMore > 0; span == whole && !folded || st.TopUsersMore > st.TopUsers[0].Count/4 {
				b.Errorf("up to %d more than %v", st.TopUsersMore, st.TopUsers[0])
			}
		}
	}
	ask()
	for range 50 {
		i := w.r.IntN(len(events))
		b.ok(b.store.Delete(b.Context(), events[i].ID))
		events = slices.Delete(events, i, i+1)
	}
	ask()
	b.clock.advance(96 * time.Hour) // all buckets are over
	b.ok(b.store.TidyRollups(b.Context()))
	ask()
	_, err := b.store.MigrateDown(b.Context(), 6)
	b.ok(err)
	b.reopen()
	b.ok(b.store.TidyRollups(b.Context()))
	ask()
}

// erasedFromUsers erases a person while roll-ups are tidied, by another store where there can be.
func erasedFromUsers(b *bench) {
	b.sketchUsers()
	other := b.store
	if b.store.Dialect() == "postgres" {
		other = b.another()
	}
	for round := range fewer(10, 5) {
		var kept []event.Event
		for i := range 40 {
			e := at(fmt.Sprintf("r%d-%d", round, i), time.Duration(i)*time.Hour)
			if e.UserID = "stays"; i%2 == 0 {
				e.UserID = "goes"
			} else {
				kept = append(kept, e)
			}
			b.commit(e)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := other.TidyRollups(b.Context()); err != nil {
				b.Error(err)
			}
		})
		_, err := b.store.Erase(b.Context(), fmt.Sprint("erasure ", round), "goes", false)
		b.ok(err)
		wg.Wait()
		b.clock.advance(time.Minute) // the person may come again
		st, err := b.store.Stats(b.Context(), wholeSpan().Start, wholeSpan().End)
		b.ok(err)
		want := []store.Count{{Value: "stays", Count: int64(len(kept) * (round + 1))}}
		if !slices.Equal(st.TopUsers, want) || st.TopUsersMore != 0 {
			b.Errorf("round %d: top users %v, up to %d more; want %v", round, st.TopUsers, st.TopUsersMore, want)
		}
	}
}
