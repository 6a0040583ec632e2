package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/question/questiontest"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func listStories() []story {
	return []story{
		{"every filter", everyFilter},
		{"lists and scans with conditions", listConditions},
		{"pages meet at equal timestamps", equalTimestamps},
		{"pages go far back", farBack},
		{"pages of users", listUsers},
		{"pages stay in place while events come in", pagesStay},
		{"a query that takes too long", tooLong},
	}
}

func everyFilter(b *bench) {
	one := at("one", 0)
	one.Type, one.Name, one.UserID, one.SessionID = event.PageView, "view", "u1", "s1"
	one.Severity, one.Tags, one.Processed, one.ProcessedAt = event.High, []string{"a", "b", `q"`}, true, epoch
	two := at("two", time.Minute)
	two.Tags = []string{"b", "c"}
	three := at("three", 2*time.Minute)
	three.UserID = "u1"
	b.commit(one, two, three)
	for name, c := range map[string]struct {
		filter store.Filter
		want   []string
	}{
		"all":          {store.Filter{}, []string{"three", "two", "one"}},
		"type":         {store.Filter{EventType: "page_view"}, []string{"one"}},
		"name":         {store.Filter{EventName: "view"}, []string{"one"}},
		"user":         {store.Filter{UserID: "u1"}, []string{"three", "one"}},
		"session":      {store.Filter{SessionID: "s1"}, []string{"one"}},
		"severity":     {store.Filter{Severity: "low"}, []string{"three", "two"}},
		"processed":    {store.Filter{Processed: ptr(true)}, []string{"one"}},
		"unprocessed":  {store.Filter{Processed: ptr(false)}, []string{"three", "two"}},
		"one tag":      {store.Filter{Tags: []string{"b"}}, []string{"two", "one"}},
		"all tags":     {store.Filter{Tags: []string{"b", "a"}}, []string{"one"}},
		"tags apart":   {store.Filter{Tags: []string{"a", "c"}}, nil},
		"part of tag":  {store.Filter{Tags: []string{"q"}}, nil},
		"quoted tag":   {store.Filter{Tags: []string{`q"`}}, []string{"one"}},
		"from":         {store.Filter{Start: epoch.Add(time.Minute)}, []string{"three", "two"}},
		"until":        {store.Filter{End: epoch.Add(time.Minute)}, []string{"one"}},
		"empty range":  {store.Filter{Start: epoch, End: epoch}, nil},
		"microsecond":  {store.Filter{Start: epoch.Add(time.Minute), End: epoch.Add(time.Minute + time.Microsecond)}, []string{"two"}},
		"together":     {store.Filter{UserID: "u1", Severity: "low", Processed: ptr(false), Start: epoch}, []string{"three"}},
		"unknown user": {store.Filter{UserID: "u1' OR ''='"}, nil},
	} {
		if got := b.ids(c.filter); !slices.Equal(got, c.want) {
			b.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// listConditions selects by the conditions that questions have, beside other filters.
func listConditions(b *bench) {
	w := newWorkload(b, 5)
	w.run(fewer(300, 150))
	for range 15 {
		f := store.Filter{Where: w.conditions()}
		if w.r.IntN(3) == 0 {
			f.EventName = "pay"
		}
		var selected []event.Event
		for _, e := range w.events {
			if (f.EventName == "" || e.Name == f.EventName) && questiontest.Match(&e, f.Where) {
				selected = append(selected, e)
			}
		}
		want := idsOf(inOrder(selected))
		if got := idsOf(b.scan(f, store.Position{})); !slices.Equal(got, want) {
			b.Errorf("%+v: scanned %d, want %d", f, len(got), len(want))
		}
		n, err := b.store.Count(b.Context(), f)
		if b.ok(err); n != int64(len(want)) {
			b.Errorf("%+v: counted %d, want %d", f, n, len(want))
		}
		slices.Reverse(want)
		if got := b.pages(f, 1+w.r.IntN(60)); !slices.Equal(got, want) {
			b.Errorf("%+v: listed %d, want %d", f, len(got), len(want))
		}
	}
	if b.store.WritesParquet() {
		f := store.Filter{Where: mustParse(b, func(p *question.Parser) []question.Condition {
			return p.Where("where", []byte(`[{"field":"properties.plan","op":"in","value":["pro",42]}]`))
		})}
		b.ok(b.store.WriteParquet(b.Context(), f, func(string) error { return nil }))
	}
}

func equalTimestamps(b *bench) {
	var want []string
	var batch []event.Event
	for i := range 50 {
		batch = append(batch, at(fmt.Sprintf("e%02d", i), time.Duration(i/10)*time.Microsecond))
	}
	b.commit(batch...)
	for i := 49; i >= 0; i-- {
		want = append(want, fmt.Sprintf("e%02d", i))
	}
	for _, limit := range []int{1, 3, 7, 10, 50, 51} {
		got := b.pages(store.Filter{EventType: "custom"}, limit)
		if !slices.Equal(got, want) {
			b.Errorf("pages of %d: %v", limit, got)
		}
	}
	_, err := b.store.List(b.Context(), store.Filter{}, store.Page{})
	b.wantKind(err, errs.Internal)
}

// farBack has events seconds, hours, days and years before now and a few after it, in twos of the
// same time.
func farBack(b *bench) {
	now := b.cfg.Now().Truncate(time.Microsecond)
	var batch []event.Event
	for i, back := range []time.Duration{
		-time.Hour, -time.Microsecond, 0, time.Second, time.Hour - time.Microsecond, time.Hour, time.Hour + time.Microsecond,
		5 * time.Hour, 48 * time.Hour, 49 * time.Hour, 49*time.Hour + time.Microsecond,
		16 * 24 * time.Hour, 16*24*time.Hour + time.Microsecond, 40 * 24 * time.Hour, 3 * 366 * 24 * time.Hour,
	} {
		for j := range 2 {
			e := at(fmt.Sprintf("e%02d", 99-2*i-j), 0)
			e.Timestamp = now.Add(-back).UTC()
			e.UserID = fmt.Sprint("u", j)
			batch = append(batch, e)
		}
	}
	b.commit(batch...)
	for _, f := range []store.Filter{
		{}, {UserID: "u1"}, {End: now.Add(-time.Minute)}, {Start: now.Add(-50 * time.Hour)}, {Start: now.Add(-30 * time.Minute)},
		{Start: now.Add(-time.Hour), End: now.Add(-time.Second)}, {Start: now.AddDate(-9, 0, 0), End: now.AddDate(-2, 0, 0)},
	} {
		var want []string
		for _, e := range batch {
			if (f.UserID == "" || e.UserID == f.UserID) && !e.Timestamp.Before(f.Start) && (f.End.IsZero() || e.Timestamp.Before(f.End)) {
				want = append(want, e.ID)
			}
		}
		for _, limit := range []int{1, 2, 3, 5, 100} {
			if got := b.pages(f, limit); !slices.Equal(got, want) {
				b.Errorf("%+v in pages of %d:\n got %v\nwant %v", f, limit, got, want)
			}
		}
	}
}

// pages are the ids of a whole list, read page by page.
func (b *bench) pages(f store.Filter, limit int) (ids []string) {
	page := store.Page{Limit: limit}
	for {
		list, err := b.store.List(b.Context(), f, page)
		b.ok(err)
		if len(list) == 0 {
			return ids
		}
		ids = append(ids, idsOf(list)...)
		last := list[len(list)-1]
		page.Timestamp, page.EventID = last.Timestamp, last.ID
	}
}

func pagesStay(b *bench) {
	b.commit(at("a", 1), at("b", 2*time.Second), at("c", 3*time.Second))
	first, err := b.store.List(b.Context(), store.Filter{}, store.Page{Limit: 2})
	b.ok(err)
	b.commit(at("d", 4*time.Second))
	b.ok(b.store.Delete(b.Context(), "b"))
	second, err := b.store.List(b.Context(), store.Filter{}, store.Page{Limit: 2, Timestamp: first[1].Timestamp, EventID: "b"})
	b.ok(err)
	if got := idsOf(second); !slices.Equal(got, []string{"a"}) {
		b.Errorf("second page %v", got)
	}
}

func tooLong(b *bench) {
	b.commit(NewGenerator(1, epoch).Events(1_000)...)
	b.ok(b.store.Close())
	b.cfg.QueryTimeout = time.Nanosecond
	hurried := b.another()
	for name, query := range map[string]func() error{
		"stats":  func() error { _, err := hurried.Stats(b.Context(), epoch, epoch.Add(time.Hour)); return err },
		"list":   func() error { _, err := hurried.List(b.Context(), store.Filter{}, store.Page{Limit: 1}); return err },
		"cursor": func() error { _, err := hurried.Cursor(b.Context(), "stream"); return err },
	} {
		if err := query(); !errs.Is(err, errs.Unavailable) {
			b.Errorf("%s: %v", name, err)
		}
	}
}
