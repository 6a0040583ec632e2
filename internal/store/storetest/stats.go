package storetest

import (
	"fmt"
	"reflect"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func statsStories() []story {
	return []story{
		{"nothing stored", noStats},
		{"counts by class, user and name", countStats},
		{"top ten", topTen},
	}
}

func (b *bench) stats(from, to time.Duration) store.Stats {
	b.Helper()
	s, err := b.store.Stats(b.Context(), epoch.Add(from), epoch.Add(to))
	b.ok(err)
	return s
}

func noStats(b *bench) {
	want := store.Stats{ByType: map[string]int64{}, BySeverity: map[string]int64{}}
	if got := b.stats(0, time.Hour); !reflect.DeepEqual(got, want) {
		b.Errorf("stats %+v", got)
	}
}

func countStats(b *bench) {
	a, c, d, late := at("a", 0), at("c", time.Minute), at("d", time.Minute), at("late", time.Hour)
	a.UserID, c.UserID, late.UserID = "u1", "u1", "u2"
	a.Type, a.Severity, a.Name = event.PageView, event.High, "view"
	c.Processed, c.ProcessedAt = true, epoch
	b.commit(a, c, d, late)
	want := store.Stats{
		TotalEvents: 3, ProcessedEvents: 1, UnprocessedEvents: 2, UniqueUsers: 1,
		ByType: map[string]int64{"page_view": 1, "custom": 2}, BySeverity: map[string]int64{"high": 1, "low": 2},
		TopUsers: []store.Count{{Value: "u1", Count: 2}}, TopEvents: []store.Count{{Value: "something", Count: 2}, {Value: "view", Count: 1}},
	}
	if got := b.stats(0, time.Hour); !reflect.DeepEqual(got, want) {
		b.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := b.stats(0, time.Hour+time.Microsecond); got.TotalEvents != 4 || got.UniqueUsers != 2 {
		b.Errorf("with the end moved on: %+v", got)
	}
}

func topTen(b *bench) {
	var batch []event.Event
	for user := range 15 {
		for i := range user/2 + 1 { // two users each with the same count
			e := at(fmt.Sprintf("%d-%d", user, i), 0)
			e.UserID, e.Name = fmt.Sprintf("u%02d", user), fmt.Sprintf("n%02d", user)
			batch = append(batch, e)
		}
	}
	b.commit(batch...)
	got := b.stats(0, time.Hour)
	if len(got.TopUsers) != 10 || len(got.TopEvents) != 10 || got.UniqueUsers != 15 {
		b.Fatalf("stats %+v", got)
	}
	for i, want := range []store.Count{{Value: "u14", Count: 8}, {Value: "u12", Count: 7}, {Value: "u13", Count: 7}, {Value: "u10", Count: 6}} {
		if got.TopUsers[i] != want {
			b.Errorf("top user %d is %+v, want %+v", i, got.TopUsers[i], want)
		}
	}
	if last := got.TopEvents[9]; last != (store.Count{Value: "n04", Count: 3}) {
		b.Errorf("tenth event %+v", last)
	}
}
