package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/rollup"
)

// Lines of users or sessions by name. Which names are the first is found over the widest buckets that
// there are. How many ids those have in a bucket is written beside the sketch; so of the buckets of a
// line only the sketches of all other names are read, to be put together.

// linePieces are the pieces of lines, by what they are read for.
type linePieces struct {
	both []piece // lines, and which names are the first
	wide []piece // only the latter
	fine []piece // the same times, only for lines; all of one width where points are no wider
}

// dividePieces puts wider buckets beside the pieces of lines.
func dividePieces(list []piece, wide []wideBucket, from *floors) (of linePieces) {
	for _, p := range list {
		parts := []piece{p}
		if p.width == hour {
			parts = pieces(p.from, p.to, idLevels, from)
		}
		for _, part := range widen(nil, parts, wide) {
			if part.width == p.width {
				of.both = append(of.both, part)
				continue
			}
			of.wide = append(of.wide, part)
			of.fine = append(of.fine, piece{width: p.width, from: part.from, to: part.to})
		}
	}
	return of
}

// idLines are the sets of lines, of which those of the first names may only be counted.
type idLines struct {
	*idSets
	rank    map[string]int
	first   []string
	counted map[idCell]countedIDs
	again   []time.Time // buckets of which the sketches of the first names are read after all
}

type countedIDs struct {
	at      time.Time
	n, lost int64
}

// linesOfIDs answers by name over time.
func (s *Store) linesOfIDs(ctx context.Context, tx *sqlx.Tx, sets *idSets, list []piece, wide []wideBucket, from *floors) ([]cellRow, error) {
	of := dividePieces(list, wide, from)
	c := newCompiler(s.d)
	query := compileRanks(c, s.d, sets.m, list, of)
	if err := eachIDs(ctx, tx, query, c.args, sets.add); err != nil {
		return nil, err
	}
	l := idLines{idSets: sets, counted: map[idCell]countedIDs{}}
	var err error
	if l.rank, err = sets.ranks(); err != nil {
		return nil, err
	}
	if err := s.readFine(ctx, tx, &l, of.fine); err != nil {
		return nil, err
	}
	cells, err := sets.answer(l.rank)
	for cell, n := range l.counted {
		cells = append(cells, cellRow{Number: cell.bucket, Rank: l.rank[cell.k], K: cell.k, Value: sql.NullFloat64{Float64: float64(n.n), Valid: true}, Lost: n.lost})
	}
	return cells, err
}

// compileRanks makes the statement that finds which names are the first, and all of the lines that it
// reads for that.
func compileRanks(c *compiler, d dialect, m *measurement, list []piece, of linePieces) string {
	ids := m.idColumns(c)
	var parts []string
	for _, p := range of.both {
		if p.width == 0 {
			parts = append(parts, ids.events(d, p, &c.args))
		} else {
			parts = append(parts, ids.sketches(p.tidyRows(&c.args), false))
		}
	}
	for _, p := range of.wide {
		parts = append(parts, ids.sketches(p.tidyRows(&c.args), true))
	}
	if condition := freshRows(list, &c.args); condition != "" {
		parts = append(parts, ids.sketches(condition, false))
	}
	return strings.Join(parts, " UNION ALL ")
}

// readFine reads the buckets of lines.
func (s *Store) readFine(ctx context.Context, tx *sqlx.Tx, l *idLines, fine []piece) error {
	if len(fine) == 0 {
		return nil
	}
	for name := range l.rank {
		l.first = append(l.first, name)
	}
	l.rest = map[int64]*rollup.IDs{}
	c := newCompiler(s.d)
	query := s.compileFine(c, l, fine)
	if err := eachIDs(ctx, tx, query, c.args, l.add); err != nil {
		return err
	}
	l.uncounted()
	if len(l.again) == 0 {
		return nil
	}
	c = newCompiler(s.d)
	query = s.compileAgain(c, l, fine)
	return eachIDs(ctx, tx, query, c.args, func(r *idsRow) error {
		cell := l.cellOf(r)
		delete(l.counted, cell)
		return l.put(r, set(l.cells, cell))
	})
}

// compileFine asks for how many ids the first names have instead of their sketches, where that is
// known and a bucket is all of a point.
func (s *Store) compileFine(c *compiler, l *idLines, fine []piece) string {
	ids, width := l.m.idColumns(c), fine[0].width
	if i := l.m.calendar.Interval; i == question.Day && width == day || i == question.Hour && width == hour {
		known := "event_name IN (SELECT unnest(" + c.args.bind(s.d.texts(l.first)) + "::text[])) AND " + ids.n + " IS NOT NULL"
		ids.known = "CASE WHEN " + known + " THEN " + ids.n + " END"
		ids.ids = "CASE WHEN " + known + " THEN NULL ELSE " + ids.ids + " END"
	}
	parts := make([]string, len(fine))
	for i, p := range fine {
		parts[i] = ids.sketches(p.tidyRows(&c.args), false)
	}
	return strings.Join(parts, " UNION ALL ")
}

// compileAgain asks for the sketches of the first names in some buckets.
func (s *Store) compileAgain(c *compiler, l *idLines, fine []piece) string {
	ids := l.m.idColumns(c)
	ids.where += " AND " + within(l.again, s, &c.args) + " AND event_name IN (SELECT unnest(" + c.args.bind(s.d.texts(l.first)) + "::text[]))"
	parts := make([]string, len(fine))
	for i, p := range fine {
		parts[i] = ids.sketches(p.tidyRows(&c.args), false)
	}
	return strings.Join(parts, " UNION ALL ")
}

// add takes a row of a bucket of lines.
func (l *idLines) add(r *idsRow) error {
	cell := l.cellOf(r)
	switch {
	case l.rank[r.K] == 0:
		return l.put(r, set(l.rest, cell.bucket))
	case !r.N.Valid:
		return l.put(r, set(l.cells, cell))
	case r.Lost > 0 && l.whole:
		return errLost
	}
	if before, ok := l.counted[cell]; ok {
		l.again = append(l.again, before.at, r.TS.UTC())
	}
	l.counted[cell] = countedIDs{r.TS.UTC(), r.N.Int64, r.Lost}
	return nil
}

// uncounted finds those that were counted and are not all of a point.
func (l *idLines) uncounted() {
	for cell, n := range l.counted {
		if l.cells[cell] != nil {
			l.again = append(l.again, n.at)
		}
	}
	slices.SortFunc(l.again, time.Time.Compare)
	l.again = slices.Compact(l.again)
}
