//go:build linux

package faults

import "testing"

// TestJudge proves that a story cannot end well when an event is lost, stored twice, stored though
// refused, or not a client's.
func TestJudge(t *testing.T) {
	b := newBook()
	b.note(yes, "plain", "missing", "twice", "dead")
	b.note(cut, "retried", "cut-stored", "cut-missing", "cut-twice")
	b.note(yes, "retried")
	b.note(no, "refused", "leaked", "retried")
	found := map[string]int{
		"plain": 1, "twice": 2, "retried": 1, "cut-stored": 1, "cut-twice": 2, "leaked": 1, "nobody's": 1,
	}
	want := verdict{
		acknowledged: 4, refused: 2, unknown: 3, dead: 1,
		lost: 1, duplicated: 2, leaked: 1, foreign: 1,
	}
	if got := b.judge(found, "dead"); got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// TestAccountCheck proves that an unbalanced ledger is noticed.
func TestAccountCheck(t *testing.T) {
	good := account{Received: 10, Rejected: 2, SampledOut: 1, Accepted: 7, Stored: 3, Duplicate: 2, DeadLettered: 1, Pending: 1}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*account){
		"lost":     func(a *account) { a.Lost = 1 },
		"negative": func(a *account) { a.Lost = -1 },
		"received": func(a *account) { a.Received++ },
		"accepted": func(a *account) { a.Pending-- },
	} {
		a := good
		spoil(&a)
		if a.check() == nil {
			t.Errorf("%s: not noticed in %+v", name, a)
		}
	}
}
