package ingest

import (
	"testing"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func TestVanishedMessagesShowAsLost(t *testing.T) {
	msg := func(writer string, total, accepted uint64) *journal.Message {
		return &journal.Message{Writer: writer, Total: total, Counts: event.Counts{Accepted: accepted}}
	}
	tests := []struct {
		name   string
		cursor store.Cursor
		after  uint64
		msgs   []*journal.Message
		want   uint64
	}{
		{"whole", store.Cursor{}, 0, []*journal.Message{msg("a", 3, 3), msg("a", 5, 2)}, 5},
		{"one gone in between", store.Cursor{}, 0, []*journal.Message{msg("a", 3, 3), msg("a", 9, 2)}, 9},
		{"first one gone", store.Cursor{Seq: 4}, 4, []*journal.Message{msg("b", 9, 2)}, 9},
		{"two writers", store.Cursor{Seq: 4, Totals: map[string]uint64{"a": 10}}, 4, []*journal.Message{msg("a", 12, 2), msg("b", 1, 1)}, 3},
		{"a new database takes over", store.Cursor{}, 7, []*journal.Message{msg("a", 90, 2), msg("a", 93, 3)}, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := continueFrom(tt.cursor, tt.after)
			var got uint64
			for _, m := range tt.msgs {
				got += c.accepted(m)
			}
			if got != tt.want {
				t.Errorf("accepted %d, want %d", got, tt.want)
			}
		})
	}
}

func TestTotalsForgetTheOldestWriters(t *testing.T) {
	seen := map[string]uint64{}
	for i := range mostWriters + 5 {
		seen[string(rune('A'+i))] = uint64(i)
	}
	got := mergeTotals(nil, seen)
	if _, old := got["A"]; len(got) != mostWriters || old {
		t.Errorf("%d writers kept, the oldest among them: %v", len(got), old)
	}
}
