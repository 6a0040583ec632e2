package journal_test

import (
	"context"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/journal/journaltest"
)

func TestEmbedded(t *testing.T) {
	journaltest.Run(t, 1, func(t *testing.T) journaltest.Opener {
		dir := t.TempDir()
		return func(t *testing.T, change ...func(*journal.Config)) *journal.Journal {
			return openJournal(t, func(c *journal.Config) { c.Dir = dir }, change...)
		}
	})
}

// openJournal opens a journal that is closed with the test.
func openJournal(t *testing.T, where func(*journal.Config), change ...func(*journal.Config)) *journal.Journal {
	t.Helper()
	cfg := journaltest.NewConfig(t)
	where(&cfg)
	for _, f := range change {
		f(&cfg)
	}
	j, err := journal.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := j.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return j
}
