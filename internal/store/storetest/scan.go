package storetest

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func scanStories() []story {
	return []story{
		{"a scan returns every event once, oldest first", scanAll},
		{"a scan goes on from any position", scanFrom},
		{"a scan holds nothing while its reader waits", scanWaits},
		{"a moved event keeps its times and stays one", movedTwice},
		{"a database that can writes Parquet", writesParquet},
	}
}

// crowded are events of which many share a microsecond, beside a few that are years apart.
func crowded() []event.Event {
	list := NewGenerator(7, epoch).Events(3_000)
	for i := range list {
		if i%3 == 0 {
			list[i].Timestamp = epoch
		}
		if i%5 == 0 {
			list[i].UserID = "five"
		}
	}
	list[1].Timestamp, list[2].Timestamp = epoch.AddDate(-30, 0, 0), epoch.AddDate(10, 0, 0)
	return list
}

func (b *bench) scan(f store.Filter, after store.Position) (all []event.Event) {
	b.Helper()
	next := b.store.Scan(f, after)
	for {
		page, err := next(b.Context())
		b.ok(err)
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}

func inOrder(list []event.Event) []event.Event {
	list = slices.Clone(list)
	slices.SortFunc(list, func(x, y event.Event) int {
		if c := x.Timestamp.Compare(y.Timestamp); c != 0 {
			return c
		}
		return compare(x.ID, y.ID)
	})
	return list
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func scanAll(b *bench) {
	list := crowded()
	b.commit(list...)
	if got, want := idsOf(b.scan(store.Filter{}, store.Position{})), idsOf(inOrder(list)); !slices.Equal(got, want) {
		b.Errorf("%d events scanned, want %d in order", len(got), len(want))
	}
	five := slices.DeleteFunc(slices.Clone(list), func(e event.Event) bool { return e.UserID != "five" })
	if got := idsOf(b.scan(store.Filter{UserID: "five"}, store.Position{})); !slices.Equal(got, idsOf(inOrder(five))) {
		b.Errorf("of one user: %d events scanned, want %d", len(got), len(five))
	}
	if got := b.scan(store.Filter{UserID: "nobody"}, store.Position{}); len(got) != 0 {
		b.Errorf("%d events of nobody", len(got))
	}
	n, err := b.store.Count(b.Context(), store.Filter{UserID: "five"})
	if b.ok(err); n != int64(len(five)) {
		b.Errorf("%d counted, want %d", n, len(five))
	}
}

func scanFrom(b *bench) {
	list := inOrder(crowded())
	b.commit(list...)
	for _, i := range []int{0, 1, 2, 500, 1_001, 2_998, 2_999} {
		after := store.Position{Timestamp: list[i].Timestamp, EventID: list[i].ID}
		if got := idsOf(b.scan(store.Filter{}, after)); !slices.Equal(got, idsOf(list[i+1:])) {
			b.Errorf("after event %d: %d events, want %d", i, len(got), len(list)-i-1)
		}
	}
}

// scanWaits stores and deletes while a scan stands between two pages.
func scanWaits(b *bench) {
	list := inOrder(crowded())
	b.commit(list...)
	next := b.store.Scan(store.Filter{}, store.Position{})
	first, err := next(b.Context())
	b.ok(err)
	b.ok(b.store.Delete(b.Context(), list[len(first)+1].ID))
	b.commit(at("later", time.Hour))
	got := idsOf(first)
	for {
		page, err := next(b.Context())
		b.ok(err)
		if len(page) == 0 {
			break
		}
		got = append(got, idsOf(page)...)
	}
	got = slices.DeleteFunc(got, func(id string) bool { return id == "later" })
	want := slices.Delete(idsOf(list), len(first)+1, len(first)+2)
	if !slices.Equal(got, want) {
		b.Errorf("%d events, want %d", len(got), len(want))
	}
}

// movedTwice stores events that another service received long ago, after a restart once more.
func movedTwice(b *bench) {
	old := NewGenerator(9, epoch.AddDate(-1, 0, 0)).Events(50)
	for i := range old {
		old[i].Processed, old[i].ProcessedAt = true, old[i].ReceivedAt.Add(time.Second)
	}
	b.commit(old...)
	b.clock.advance(30 * 24 * time.Hour)
	b.reopen()
	b.commit(at("new", 30*24*time.Hour))
	b.wantDuplicates(b.commit(old...), idsOf(old)...)
	got := b.scan(store.Filter{End: epoch}, store.Position{})
	want := inOrder(old)
	if len(got) != len(want) {
		b.Fatalf("%d events, want %d", len(got), len(want))
	}
	for i := range got {
		if !got[i].ReceivedAt.Equal(want[i].ReceivedAt) || !got[i].ProcessedAt.Equal(want[i].ProcessedAt) || !got[i].Processed {
			b.Fatalf("event %d became %+v", i, got[i])
		}
	}
}

func writesParquet(b *bench) {
	list := crowded()
	b.commit(list...)
	var left string
	err := b.store.WriteParquet(b.Context(), store.Filter{UserID: "five"}, func(path string) error {
		left = path
		info, err := os.Stat(path)
		if err == nil && info.Size() < 1000 {
			b.Errorf("600 events in %d bytes", info.Size())
		}
		again := b.store.WriteParquet(b.Context(), store.Filter{}, func(string) error { return nil })
		b.wantKind(again, errs.Overloaded)
		return err
	})
	if !b.store.WritesParquet() {
		if err == nil {
			b.Error("a file was written that was not promised")
		}
		return
	}
	b.ok(err)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		b.Errorf("the file is left behind: %v", err)
	}
	killed := filepath.Join(filepath.Dir(left), "export-1.parquet")
	b.ok(os.WriteFile(killed, nil, 0o600))
	b.reopen()
	if _, err := os.Stat(killed); !errors.Is(err, os.ErrNotExist) {
		b.Errorf("the file of a killed process is left behind: %v", err)
	}
}
