package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
)

func TestSmoke(t *testing.T) {
	for _, url := range []string{"", pgtest.URL(t)} {
		s, err := Open(context.Background(), Config{Dir: t.TempDir(), URL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ctx := context.Background()
		fmt.Println(s.Migrate(ctx, true))
		fmt.Println(s.Migrate(ctx, false))
		fmt.Println(s.Migrate(ctx, true))
		c, err := s.Cursor(ctx, "x")
		fmt.Println(c, err)
		e := event.Event{ID: "a", Name: "n\t\\x", Type: "custom", Severity: "low", Timestamp: time.Now(), ReceivedAt: time.Now(), SampleRate: 1, Properties: event.Object(`{"b":1.50,"a":99999999999999999999}`), Tags: []string{"x", "y"}}
		f := e
		f.ID = "b"
		fmt.Println(s.Commit(ctx, &Batch{From: c, Seq: 2, Events: []event.Event{e, f, e}}))
		g := f
		g.ID = "c\xff"
		fmt.Println(s.Probe(ctx, []event.Event{g}))
		g.ID = "c\x00"
		fmt.Println(s.Probe(ctx, []event.Event{g}))
		fmt.Println(s.Get(ctx, "a"))
		fmt.Println(s.Update(ctx, "a", Patch{Tags: &[]string{"z", "y"}}, time.Now()))
		fmt.Println(s.List(ctx, Filter{Tags: []string{"y", "z"}}, Page{Limit: 10}))
		fmt.Println(s.List(ctx, Filter{Tags: []string{"y", "q"}}, Page{Limit: 10}))
		fmt.Println(s.Stats(ctx, time.Now().Add(-time.Hour), time.Now().Add(time.Hour)))
		fmt.Println(s.Delete(ctx, "a"))
		fmt.Println(s.Receipt(ctx, "a"))
		c, err = s.Cursor(ctx, "x")
		fmt.Println(s.Commit(ctx, &Batch{From: c, Seq: 3, Events: []event.Event{e}, Dead: []DeadLetter{{EventID: "d\x00", Detail: "x\xff"}}}))
		fmt.Println(s.Receipt(ctx, "a"))
		fmt.Println(s.DeadLetters(ctx, 3))
		fmt.Println(s.MarkProcessed(ctx, []string{"b", "c"}, time.Now()))
		fmt.Println(s.SaveSettings(ctx, []byte("{}")), s.SaveSettings(ctx, []byte("{1}")))
		fmt.Println(s.LoadSettings(ctx))
		fmt.Println(s.InsertKey(ctx, Key{ID: "k", Hash: []byte{0, 1}, Scopes: []string{"a"}}), s.InsertKey(ctx, Key{ID: "k", Hash: []byte{0, 1}}))
		fmt.Println(s.TouchKeys(ctx, map[string]time.Time{"k": time.Now()}))
		fmt.Println(s.Keys(ctx))
		fmt.Println(s.RevokeKey(ctx, "k", time.Now()), s.RevokeKey(ctx, "l", time.Now()))
		fmt.Println(s.Prune(ctx, time.Now()))
		r, ok, err := s.Lease(ctx, "x")
		fmt.Println(ok, err)
		_, ok, err = s.Lease(ctx, "x")
		fmt.Println(ok, err)
		r()
		fmt.Println(s.MigrateDown(ctx, 0))
		fmt.Println(s.Migrate(ctx, false))
	}
}
