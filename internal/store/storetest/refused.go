package storetest

import (
	"fmt"
	"slices"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func refusedStories() []story {
	return []story{
		{"data the database cannot hold is Invalid", cannotHold},
		{"one bad event among many is found by probing", bisect},
		{"questions with impossible texts", impossibleQuestions},
		{"a dead letter is never refused itself", deadLetterTaken},
	}
}

func cannotHold(b *bench) {
	for name, spoil := range map[string]func(*event.Event){
		"id not UTF-8":         func(e *event.Event) { e.ID = "x\xff" },
		"id with NUL":          func(e *event.Event) { e.ID = "x\x00" },
		"optional not UTF-8":   func(e *event.Event) { e.UserID = "\xc3(" },
		"optional with NUL":    func(e *event.Event) { e.Referrer = "a\x00b" },
		"tag not UTF-8":        func(e *event.Event) { e.Tags = []string{"a", "\xff"} },
		"properties not UTF-8": func(e *event.Event) { e.Properties = event.Object("{\"a\":\"\xed\xa0\x80\"}") },
		"metadata with NUL":    func(e *event.Event) { e.Metadata = event.Object("{\"a\":\"\x00\"}") },
	} {
		bad := at("bad", 0)
		spoil(&bad)
		events := []event.Event{at("good 1", 0), bad, at("good 2", 0)}
		b.Log(name)
		b.wantKind(b.store.Probe(b.Context(), events), errs.Invalid)
		_, err := b.store.Commit(b.Context(), &store.Batch{From: b.cursor, Seq: 1, Events: events})
		b.wantKind(err, errs.Invalid)
	}
	if c := b.cursorOf("stream"); c.Seq != 0 || len(b.ids(store.Filter{})) != 0 {
		b.Errorf("something stayed: %+v", c)
	}
	b.commit(at("good 1", 0), at("good 2", 0))
}

// bisect finds the bad one as the writer does.
func bisect(b *bench) {
	var events []event.Event
	for i := range 5_000 {
		events = append(events, at(fmt.Sprintf("e%04d", i), 0))
	}
	const bad = 3_141
	events[bad].Name = "\xfe"
	from, to := 0, len(events)
	for to-from > 1 {
		middle := (from + to) / 2
		err := b.store.Probe(b.Context(), events[from:middle])
		switch {
		case err == nil:
			from = middle
		default:
			b.wantKind(err, errs.Invalid)
			to = middle
		}
	}
	if from != bad {
		b.Fatalf("found %d, want %d", from, bad)
	}
	dead := store.DeadLetter{EventID: events[bad].ID, Reason: event.ReasonStoreRefused, Detail: "not UTF-8", Payload: []byte("{}"), At: epoch}
	result := b.commitBatch(store.Batch{Events: slices.Delete(events, bad, bad+1), Dead: []store.DeadLetter{dead}})
	if c := result.Cursor.Counts; c.Stored != 4_999 || c.DeadLetteredTotal() != 1 || c.Duplicate != 0 {
		b.Errorf("counts %+v", c)
	}
}

func deadLetterTaken(b *bench) {
	b.commitBatch(store.Batch{
		Dead: []store.DeadLetter{
			{EventID: "nul \x00 and \xff", Reason: event.ReasonUndecodable, Detail: "\x00\xff", Payload: []byte{0, 0xff, '\\', '\n'}, At: epoch},
			{EventID: "bare", Reason: event.ReasonStoreRefused, At: epoch.Add(-1e9)},
		},
		Receipts: []store.Receipt{{EventID: "\x00\xff", Status: store.StatusRejected, Reason: "\xff", At: epoch}},
	})
	dead, err := b.store.DeadLetters(b.Context(), 10)
	b.ok(err)
	if len(dead) != 2 || string(dead[0].Payload) != "\x00\xff\\\n" || dead[0].Reason != event.ReasonUndecodable ||
		!dead[0].At.Equal(epoch) || dead[1].EventID != "bare" || len(dead[1].Payload) != 0 {
		b.Errorf("dead letters %+v", dead)
	}
	if dead, err = b.store.DeadLetters(b.Context(), 1); err != nil || len(dead) != 1 {
		b.Errorf("limited to one: %d, %v", len(dead), err)
	}
}

func impossibleQuestions(b *bench) {
	b.commit(at("a", 0))
	for _, bad := range []string{"\xff", "a\x00", "a\xed\xa0\x80"} {
		_, err := b.store.Get(b.Context(), bad)
		b.wantKind(err, errs.Invalid)
		_, err = b.store.Receipt(b.Context(), bad)
		b.wantKind(err, errs.Invalid)
		_, err = b.store.List(b.Context(), store.Filter{UserID: bad}, store.Page{Limit: 1})
		b.wantKind(err, errs.Invalid)
		_, err = b.store.List(b.Context(), store.Filter{Tags: []string{bad}}, store.Page{Limit: 1})
		b.wantKind(err, errs.Invalid)
		_, err = b.store.List(b.Context(), store.Filter{}, store.Page{Limit: 1, Timestamp: epoch, EventID: bad})
		b.wantKind(err, errs.Invalid)
		_, err = b.store.MarkProcessed(b.Context(), []string{"a", bad}, epoch)
		b.wantKind(err, errs.Invalid)
		_, err = b.store.Update(b.Context(), "a", store.Patch{Tags: &[]string{bad}}, epoch)
		b.wantKind(err, errs.Invalid)
		_, err = b.store.Update(b.Context(), "a", store.Patch{Metadata: ptr(event.Object(bad))}, epoch)
		b.wantKind(err, errs.Invalid)
		b.wantKind(b.store.Delete(b.Context(), bad), errs.Invalid)
	}
}
