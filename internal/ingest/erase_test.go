package ingest

import (
	"context"
	"slices"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// erasing is a store that tells which erasures were known to be under way, and for which ones the
// journal is clean.
type erasing struct {
	*faultySink
	known   func() []string
	before  []string // when the last one began
	cleaned []string
}

func (s *erasing) Erase(ctx context.Context, id, userID string, refuse bool) (store.Erasure, error) {
	s.before = s.known()
	return s.faultySink.Erase(ctx, id, userID, refuse)
}

func (s *erasing) JournalClean(ctx context.Context, ids ...string) error {
	s.cleaned = append(s.cleaned, ids...)
	return s.faultySink.JournalClean(ctx, ids...)
}

func (w *world) erasing() *erasing {
	s := &erasing{faultySink: w.sink, known: func() []string { return w.unclean }}
	w.cfg.Sink = s
	return s
}

// A process that was asked for an erasure, and dies before its journal is clean, tells the receipt
// when it has cleaned it in its next life.
func TestAnErasureWaitsForTheJournalOverACrash(t *testing.T) {
	w := newWorld(t)
	s := w.erasing()
	w.send(event.Event{Name: "e", UserID: "u1"})
	w.flush()
	w.log.err.Store(errAway) // it cannot move on
	e, err := w.Erase(t.Context(), "u1", false)
	must(t, err)
	want := []string{e.ID}
	if !e.JournalAt.IsZero() || !slices.Equal(s.before, want) || !slices.Equal(w.unclean, want) || len(s.cleaned) > 0 {
		t.Fatalf("the receipt %+v; known before it %v, after it %v; cleaned %v", e, s.before, w.unclean, s.cleaned)
	}
	w.close()
	w.open()
	s = w.erasing()
	_, err = w.Clean(t.Context(), 0)
	must(t, err)
	if !slices.Equal(s.cleaned, want) || len(w.unclean) > 0 {
		t.Errorf("the journal is clean of %v, and is not of %v", s.cleaned, w.unclean)
	}
}
