package ingest

import (
	"fmt"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// TestRecentForgetsAUser forgets in a ring that is not full, exactly full and gone round.
func TestRecentForgetsAUser(t *testing.T) {
	for _, n := range []int{0, 5, RecentLimit, RecentLimit + 7} {
		var r recent
		for i := range n {
			r.add([]Item{{Event: event.Event{ID: fmt.Sprint(i), UserID: fmt.Sprint("u", i%2)}}})
		}
		before := len(r.list())
		r.forget("u1")
		r.forget("nobody")
		list := r.list()
		if len(list) != (before+1)/2 && len(list) != before/2 {
			t.Errorf("%d events: %d of %d are left", n, len(list), before)
		}
		for i := range list {
			if list[i].UserID != "u0" || i > 0 && len(list[i].ID) < len(list[i-1].ID) {
				t.Errorf("%d events: left is %+v", n, list[i])
			}
		}
		r.add([]Item{{Event: event.Event{ID: "next"}}})
		if after := r.list(); len(after) != len(list)+1 || after[len(list)].ID != "next" {
			t.Errorf("%d events: the next one is not the newest", n)
		}
	}
}
