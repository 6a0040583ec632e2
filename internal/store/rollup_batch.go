package store

import (
	"context"
	"slices"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// batchRows are the fresh rows that a batch adds to roll-ups, or why there are none.
type batchRows struct {
	counts, ids, users, values, marks [][]any
	err                               error
}

// countAside counts all events of a batch beside the database's own work on it: hardly ever is one of
// them a duplicate. Its result must be waited for.
func countAside(events []event.Event, from *floors, all *declarations, marked bool) <-chan batchRows {
	counted := make(chan batchRows, 1)
	places := make([]int, len(events))
	for i := range places {
		places[i] = i
	}
	go func() { counted <- countBatch(events, places, from, all, marked) }()
	return counted
}

// countBatch counts some events of a batch, given as their places in it, and marks their users.
func countBatch(events []event.Event, places []int, from *floors, all *declarations, marked bool) (r batchRows) {
	counts, ids, users := rollupCounts{}, sketches{}, userCounts{}
	for n, i := range places {
		event.Turn(n)
		e := countedOf(&events[i])
		counts.add(&e, 1, from)
		if width, ok := from.narrowest(e.at, idLevels); ok {
			ids.add(&e, width)
		}
		users.add(&e, 1, from)
	}
	users.days(from)
	for _, t := range users {
		t.fold(usersOfBatch)
	}
	r.counts, r.users = counts.rows(true), users.rows(always)
	if marked {
		r.marks = marksOf(events, places)
	}
	if r.ids, r.err = ids.rows(true); r.err == nil {
		r.values, r.err = valuesOf(events, places, all)
	}
	return r
}

func valuesOf(events []event.Event, places []int, all *declarations) ([][]any, error) {
	if len(all.list) == 0 {
		return nil, nil
	}
	c := all.counting()
	for n, i := range places {
		event.Turn(n)
		if err := c.add(&events[i], 1); err != nil {
			return nil, err
		}
	}
	return c.rows(), nil
}

// rollUp stores what was counted of a batch, or counts anew where it were not the events that were
// stored, given as their places, or not what is declared now. That is read after they were stored: a
// declaration that is made meanwhile waits for this transaction and finds its events.
func (s *Store) rollUp(ctx context.Context, ses session, events []event.Event, stored []int, from *floors, was *declarations, r batchRows) error {
	now, err := s.declarations(ctx, ses)
	if err != nil {
		return err
	}
	if len(stored) < len(events) || !slices.EqualFunc(now.list, was.list, sameDeclaration) {
		r = countBatch(events, stored, from, now, !s.d.columnar())
	}
	if r.err != nil {
		return r.err
	}
	for _, add := range []struct {
		table   string
		columns []string
		rows    [][]any
	}{
		{"rollups", rollupColumns, r.counts}, {"rollup_users", userColumns, r.users},
		{"rollup_ids", sketchColumns, r.ids}, {"rollup_values", declaredColumns, r.values},
		{"user_marks", markColumns, r.marks},
	} {
		if err := s.d.load(ctx, ses, add.table, add.columns, add.rows); err != nil {
			return err
		}
	}
	return nil
}
