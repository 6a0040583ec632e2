package storetest

import (
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func eventStories() []story {
	return []story{
		{"get", get},
		{"a patch changes what it names, again and again", patch},
		{"processed keeps its first time", processedOnce},
		{"marking thousands", markThousands},
		{"marking the same from two sides", markTogether},
		{"delete", remove},
	}
}

func get(b *bench) {
	b.commit(at("a", 0), at("b", 0))
	e, err := b.store.Get(b.Context(), "a")
	b.ok(err)
	if e.ID != "a" {
		b.Errorf("got %q", e.ID)
	}
	for _, id := range []string{"A", "a ", "", "%", "a' OR '1'='1"} {
		_, err := b.store.Get(b.Context(), id)
		b.wantKind(err, errs.NotFound)
	}
}

func patch(b *bench) {
	want := at("a", 0)
	want.Tags, want.Metadata, want.Properties = []string{"one"}, event.Object(`{"a":1}`), event.Object(`{"p":1}`)
	b.commit(want, at("b", 0))
	steps := []struct {
		patch  store.Patch
		change func()
	}{
		{store.Patch{Tags: &[]string{"x", "y"}}, func() { want.Tags = []string{"x", "y"} }},
		{store.Patch{Tags: &[]string{"z"}}, func() { want.Tags = []string{"z"} }},
		{store.Patch{Metadata: ptr(event.Object(`{"n":1.50}`))}, func() { want.Metadata = event.Object(`{"n":1.50}`) }},
		{store.Patch{Metadata: ptr(event.Object(`{"n":2.0,"m":"\\"}`))}, func() { want.Metadata = event.Object(`{"n":2.0,"m":"\\"}`) }},
		{store.Patch{Severity: ptr(event.High)}, func() { want.Severity = event.High }},
		{store.Patch{}, func() {}},
		{store.Patch{Tags: &[]string{}, Metadata: ptr(event.Object(nil))}, func() { want.Tags, want.Metadata = nil, nil }},
		{store.Patch{Severity: ptr(event.Low), Tags: &[]string{"end"}, Processed: ptr(true)}, func() {
			want.Severity, want.Tags, want.Processed, want.ProcessedAt = event.Low, []string{"end"}, true, epoch
		}},
	}
	for i, step := range steps {
		step.change()
		got, err := b.store.Update(b.Context(), "a", step.patch, epoch)
		b.ok(err)
		if !reflect.DeepEqual(got, want) {
			b.Errorf("step %d\ngot  %+v\nwant %+v", i, got, want)
		}
	}
	other, err := b.store.Get(b.Context(), "b")
	b.ok(err)
	if !reflect.DeepEqual(other, at("b", 0)) {
		b.Errorf("another event changed: %+v", other)
	}
	_, err = b.store.Update(b.Context(), "none", store.Patch{Severity: ptr(event.High)}, epoch)
	b.wantKind(err, errs.NotFound)
	_, err = b.store.Update(b.Context(), "none", store.Patch{}, epoch)
	b.wantKind(err, errs.NotFound)
}

func ptr[T any](v T) *T { return &v }

func processedOnce(b *bench) {
	b.commit(at("a", 0))
	for i, step := range []struct {
		processed bool
		want      time.Time
	}{
		{true, epoch.Add(0)}, {true, epoch.Add(0)}, {false, time.Time{}}, {true, epoch.Add(3 * time.Minute)},
	} {
		e, err := b.store.Update(b.Context(), "a", store.Patch{Processed: &step.processed}, epoch.Add(time.Duration(i)*time.Minute))
		b.ok(err)
		if e.Processed != step.processed || !e.ProcessedAt.Equal(step.want) {
			b.Errorf("step %d: processed %v at %v, want %v", i, e.Processed, e.ProcessedAt, step.want)
		}
	}
}

func markThousands(b *bench) {
	events := NewGenerator(1, epoch).Events(10_000)
	b.commit(events...)
	ids := append(idsOf(events[:5_000]), "unknown", events[0].ID)
	for _, want := range []int64{5_000, 0} {
		n, err := b.store.MarkProcessed(b.Context(), ids, epoch)
		b.ok(err)
		if n != want {
			b.Errorf("marked %d, want %d", n, want)
		}
	}
	stats, err := b.store.Stats(b.Context(), epoch.Add(-time.Hour), epoch.Add(time.Hour))
	b.ok(err)
	if stats.ProcessedEvents != 5_000 || stats.UnprocessedEvents != 5_000 {
		b.Errorf("stats %+v", stats)
	}
	e, err := b.store.Get(b.Context(), events[1].ID)
	b.ok(err)
	if !e.Processed || !e.ProcessedAt.Equal(epoch) {
		b.Errorf("event %+v", e)
	}
	b.wantDuplicates(b.commit(events[1]), events[1].ID)
}

func markTogether(b *bench) {
	var there, back []string
	var events []event.Event
	for i := range 500 {
		events = append(events, at(fmt.Sprintf("e%03d", i), 0))
		there = append(there, events[i].ID)
		back = append([]string{events[i].ID}, back...)
	}
	b.commit(events...)
	var wg sync.WaitGroup
	counts, failures := make([]int64, 2), make([]error, 2)
	for i, ids := range [][]string{there, back} {
		wg.Go(func() { counts[i], failures[i] = b.store.MarkProcessed(b.Context(), ids, epoch) })
	}
	wg.Wait()
	if failures[0] != nil || failures[1] != nil || counts[0]+counts[1] != 500 {
		b.Errorf("marked %v, errors %v", counts, failures)
	}
}

func remove(b *bench) {
	b.commit(at("a", 0), at("b", 0))
	b.ok(b.store.Delete(b.Context(), "a"))
	_, err := b.store.Get(b.Context(), "a")
	b.wantKind(err, errs.NotFound)
	b.wantKind(b.store.Delete(b.Context(), "a"), errs.NotFound)
	if got := b.ids(store.Filter{}); len(got) != 1 {
		b.Errorf("left %v", got)
	}
}
