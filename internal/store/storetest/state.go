package storetest

import (
	"reflect"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func stateStories() []story {
	return []story{
		{"settings", settings},
		{"keys", keys},
		{"ping and close", pingAndClose},
	}
}

func settings(b *bench) {
	if got, err := b.store.LoadSettings(b.Context()); err != nil || got != nil {
		b.Errorf("before the first save: %q, %v", got, err)
	}
	for _, want := range []string{`{"a": 1}`, `{"a":2,  "b":"\u00e9"}`} {
		b.ok(b.store.SaveSettings(b.Context(), []byte(want)))
		b.reopen()
		got, err := b.store.LoadSettings(b.Context())
		b.ok(err)
		if string(got) != want {
			b.Errorf("loaded %s, saved %s", got, want)
		}
	}
}

func keys(b *bench) {
	one := store.Key{ID: "k1", Name: "first", Hash: []byte{0, 1, 0xff, '\\'}, Hint: "tm_ab", Scopes: []string{"ingest", "read"}, CreatedAt: epoch}
	two := store.Key{ID: "k2", Hash: []byte{2}, Scopes: []string{"admin"}, CreatedAt: epoch.Add(time.Second)}
	b.ok(b.store.InsertKey(b.Context(), two))
	b.ok(b.store.InsertKey(b.Context(), one))
	b.wantKind(b.store.InsertKey(b.Context(), one), errs.Conflict)

	used := epoch.Add(time.Hour)
	b.ok(b.store.TouchKeys(b.Context(), map[string]time.Time{"k1": used, "k2": used, "unknown": used}))
	b.ok(b.store.TouchKeys(b.Context(), map[string]time.Time{"k1": epoch}))
	b.ok(b.store.TouchKeys(b.Context(), nil))
	b.ok(b.store.RevokeKey(b.Context(), "k2", used))
	b.ok(b.store.RevokeKey(b.Context(), "k2", used.Add(time.Hour)))
	b.wantKind(b.store.RevokeKey(b.Context(), "unknown", used), errs.NotFound)

	one.LastUsedAt, two.LastUsedAt, two.RevokedAt = used, used, used
	b.reopen()
	got, err := b.store.Keys(b.Context())
	b.ok(err)
	if want := []store.Key{one, two}; !reflect.DeepEqual(got, want) {
		b.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func pingAndClose(b *bench) {
	b.ok(b.store.Ping(b.Context()))
	b.ok(b.store.Close())
	b.ok(b.store.Close())
	b.wantKind(b.store.Ping(b.Context()), errs.Unavailable)
	_, err := b.store.Commit(b.Context(), &store.Batch{From: b.cursor, Seq: 1})
	b.wantKind(err, errs.Unavailable)
}
