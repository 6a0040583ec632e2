package store

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/projection"
)

// projections are the totals of the stream that was stored last, as of its cursor. Whoever finds
// them at another place reads the table: after an error, or a transaction whose end is unknown.
type projections struct {
	mu     sync.Mutex
	stream string
	seq    uint64
	state  *projection.State
}

// take are the totals at a cursor, nil where they are not known. They belong to the caller until
// settle gives them back.
func (p *projections) take(c Cursor) *projection.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == nil || p.stream != c.Stream || p.seq != c.Seq {
		return nil
	}
	state := p.state
	p.state = nil
	return state
}

// projected is what a transaction has counted.
type projected struct {
	state *projection.State
	tally *projection.Tally
}

// settle takes over what a committed transaction has counted.
func (p *projections) settle(c Cursor, done projected) {
	if done.state == nil {
		return
	}
	done.state.Take(done.tally)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stream, p.seq, p.state = c.Stream, c.Seq, done.state
}

// project counts what a transaction stores, all events but the duplicates, and returns the series
// that changed.
func (s *Store) project(ctx context.Context, ses session, at Cursor, events []event.Event, duplicates []string, now time.Time) (projected, []projection.Series, error) {
	if len(s.cfg.Declared.Metrics()) == 0 {
		return projected{}, nil, nil
	}
	state := s.projections.take(at)
	if state == nil {
		rows, err := readProjections(ctx, ses, s.cfg.Declared, at.Stream)
		if err != nil {
			return projected{}, nil, err
		}
		state = projection.NewState(s.cfg.Declared, rows, now)
	}
	tally := state.Tally(now)
	again := repeated(events, duplicates)
	for i := range events {
		if len(again) > 0 && again.skip(events[i].ID) {
			continue
		}
		tally.Add(&events[i])
	}
	changed := tally.Series()
	return projected{state, tally}, changed, s.keepProjections(ctx, ses, at.Stream, changed, now)
}

// repeats says of ids that a batch has among its duplicates how many of its events were stored: one
// or none. Where one was, it is the first.
type repeats map[string]bool

func repeated(events []event.Event, duplicates []string) repeats {
	if len(duplicates) == 0 {
		return nil
	}
	dropped := make(map[string]int, len(duplicates))
	for _, id := range duplicates {
		dropped[id]++
	}
	for i := range events {
		if _, known := dropped[events[i].ID]; known {
			dropped[events[i].ID]--
		}
	}
	r := make(repeats, len(dropped))
	for id, n := range dropped {
		r[id] = n < 0
	}
	return r
}

// skip reports whether the next event with an id was not stored.
func (r repeats) skip(id string) bool {
	stored, known := r[id]
	if stored {
		r[id] = false
	}
	return known && !stored
}

const (
	upsertProjections = `
INSERT INTO projections (stream, metric, labels, events, total, buckets, created_at, updated_at)
SELECT $1, metric, labels, events::bigint, total::double precision, buckets, created_at::timestamptz, $8::timestamptz
FROM (SELECT unnest($2::text[]) AS metric, unnest($3::text[]) AS labels, unnest($4::text[]) AS events,
    unnest($5::text[]) AS total, unnest($6::text[]) AS buckets, unnest($7::text[]) AS created_at) AS changed
ON CONFLICT (stream, metric, labels) DO UPDATE SET
    events = EXCLUDED.events, total = EXCLUDED.total, buckets = EXCLUDED.buckets, updated_at = EXCLUDED.updated_at`

	selectProjections = `SELECT metric, labels, events, total, buckets, created_at FROM projections WHERE stream = $1`
)

// keepProjections writes the new totals of series.
func (s *Store) keepProjections(ctx context.Context, ses session, stream string, changed []projection.Series, now time.Time) error {
	if len(changed) == 0 {
		return nil
	}
	columns := make([][]string, 6)
	for i := range changed {
		c := &changed[i]
		labels, err := json.Marshal(c.Labels)
		if err != nil {
			return err
		}
		buckets, err := json.Marshal(c.Buckets)
		if err != nil {
			return err
		}
		for n, text := range []string{
			s.cfg.Declared.Metrics()[c.Metric].Key, string(labels), strconv.FormatUint(c.Count, 10),
			strconv.FormatFloat(c.Sum, 'g', -1, 64), string(buckets), micro(c.Created).Format(time.RFC3339Nano),
		} {
			columns[n] = append(columns[n], text)
		}
	}
	args := []any{stream}
	for _, c := range columns {
		args = append(args, s.d.texts(c))
	}
	_, err := ses.ExecContext(ctx, upsertProjections, append(args, now)...)
	return err
}

// readProjections reads a stream's totals of all metrics that are declared.
func readProjections(ctx context.Context, q sqlx.QueryerContext, set *declared.Set, stream string) ([]projection.Series, error) {
	var rows []struct {
		Metric, Labels, Buckets string
		Events                  int64
		Total                   float64
		Created                 time.Time `db:"created_at"`
	}
	if err := sqlx.SelectContext(ctx, q, &rows, selectProjections, stream); err != nil {
		return nil, err
	}
	all := make([]projection.Series, 0, len(rows))
	for i := range rows {
		r := &rows[i]
		metric := slices.IndexFunc(set.Metrics(), func(m declared.Metric) bool { return m.Key == r.Metric })
		if metric < 0 {
			continue
		}
		c := projection.Series{Metric: metric, Count: uint64(r.Events), Sum: r.Total, Created: r.Created.UTC()}
		m := &set.Metrics()[metric]
		if json.Unmarshal([]byte(r.Labels), &c.Labels) != nil || json.Unmarshal([]byte(r.Buckets), &c.Buckets) != nil ||
			len(c.Labels) != len(m.Dimensions) || len(c.Buckets) != len(m.Buckets) {
			return nil, errs.New(errs.Internal, "the totals of a metric cannot be read")
		}
		all = append(all, c)
	}
	return all, nil
}

// Projections are the totals of the metrics made from a stream's stored events: those that have
// been counted, and at 0 those that are known beforehand.
func (s *Store) Projections(ctx context.Context, stream string) ([]projection.Series, error) {
	if len(s.cfg.Declared.Metrics()) == 0 {
		return nil, nil
	}
	var rows []projection.Series
	err := s.query(ctx, "SELECT projections", func(ctx context.Context, db *sqlx.DB) (err error) {
		rows, err = readProjections(ctx, db, s.cfg.Declared, stream)
		return err
	})
	if err != nil {
		return nil, err
	}
	return projection.NewState(s.cfg.Declared, rows, micro(s.cfg.Now())).Series(), nil
}

// keepUndeclared is how long the totals of metrics stay that nobody declares any more: a change that
// is taken back goes on where it was.
const keepUndeclared = 30 * 24 * time.Hour

const dropProjections = `
DELETE FROM projections WHERE updated_at < $1 AND metric NOT IN (SELECT unnest($2::text[]))`

// dropProjections forgets the totals of metrics that are not declared any more, after a time.
func (s *Store) dropProjections(ctx context.Context, ses session) error {
	keys := []string{}
	for _, m := range s.cfg.Declared.Metrics() {
		keys = append(keys, m.Key)
	}
	_, err := ses.ExecContext(ctx, dropProjections, micro(s.cfg.Now()).Add(-keepUndeclared), s.d.texts(keys))
	return err
}
