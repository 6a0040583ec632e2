package storetest

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func commitStories() []story {
	return []story{
		{"every field comes back as it went in", everyField},
		{"properties are kept to the letter", exactProperties},
		{"an empty batch moves the cursor", emptyBatch},
		{"a large batch is stored whole", largeBatch},
		{"what is stored survives a restart", survivesRestart},
	}
}

func everyField(b *bench) {
	full := event.Event{
		ID: "id \t\\N\n\r\"'é日本🙂", Name: `name\.with\backslashes`, Type: event.APIError,
		Timestamp: epoch.Add(time.Microsecond), ReceivedAt: epoch.Add(2 * time.Microsecond),
		UserID: "user", AnonymousID: "anonymous", SessionID: "session",
		Properties: event.Object(`{"a":"\\\t\n\u0000 '$1"}`), Metadata: event.Object(`{}`),
		Severity: event.Critical, Tags: []string{`tab	and "quote"`, "\\N", "ü"},
		Source: "source", UserAgent: "agent\twith\ttabs", IPAddress: "2001:db8:1::", Referrer: "https://a/?b=c&d",
		Timezone: "Europe/Vienna", SampleRate: 0.1, Processed: true, ProcessedAt: epoch.Add(time.Hour),
	}
	spare := at("spare", 0)
	spare.Timestamp = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	b.commit(full, spare)
	for _, want := range []event.Event{full, spare} {
		got, err := b.store.Get(b.Context(), want.ID)
		b.ok(err)
		if !reflect.DeepEqual(got, want) {
			b.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

func exactProperties(b *bench) {
	for i, text := range []string{
		`{"b":1,"a":2,"b2":{"z":[],"y":{}}}`,
		`{"n":99999999999999999999999999,"f":1.50,"e":1E+2,"neg":-0,"tiny":1e-400}`,
		`{"":"","k k":null,"t":true}`,
		`{"s":"line\nbreak \u00e9 \/ é \\ \" \ud83d\ude42"}`,
	} {
		e := at(fmt.Sprint("e", i), 0)
		e.Properties, e.Metadata = event.Object(text), event.Object(text)
		b.commit(e)
		got, err := b.store.Get(b.Context(), e.ID)
		b.ok(err)
		if !bytes.Equal(got.Properties, e.Properties) || !bytes.Equal(got.Metadata, e.Metadata) {
			b.Errorf("got %s and %s, want %s", got.Properties, got.Metadata, text)
		}
	}
}

func emptyBatch(b *bench) {
	result := b.commitBatch(store.Batch{Counts: event.Counts{SampledOut: 3}})
	if result.Cursor.Seq != 1 || result.Cursor.Counts.SampledOut != 3 {
		b.Errorf("cursor %+v", result.Cursor)
	}
	_, err := b.store.Commit(b.Context(), &store.Batch{From: b.cursor, Seq: b.cursor.Seq})
	b.wantKind(err, errs.Internal)
}

func largeBatch(b *bench) {
	events := NewGenerator(1, epoch).Events(12_345)
	result := b.commit(events...)
	if got := result.Cursor.Counts.Stored; got != 12_345 {
		b.Fatalf("stored %d", got)
	}
	stats, err := b.store.Stats(b.Context(), epoch.Add(-time.Hour), epoch.Add(time.Hour))
	b.ok(err)
	if stats.TotalEvents != 12_345 {
		b.Errorf("%d events in the table", stats.TotalEvents)
	}
	again := b.commit(events...)
	if len(again.Duplicates) != 12_345 || again.Cursor.Counts.Stored != 12_345 {
		b.Errorf("the same again: %d duplicates, %d stored", len(again.Duplicates), again.Cursor.Counts.Stored)
	}
}

func survivesRestart(b *bench) {
	b.commit(at("a", 0), at("b", time.Second))
	before := b.cursor
	b.reopen()
	if !reflect.DeepEqual(b.cursor, before) {
		b.Errorf("cursor %+v, was %+v", b.cursor, before)
	}
	if got := b.ids(store.Filter{}); !slices.Equal(got, []string{"b", "a"}) {
		b.Errorf("events %v", got)
	}
}
