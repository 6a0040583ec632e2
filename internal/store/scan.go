package store

import (
	"context"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// Position is a place between two events in the order of Scan; zero is before the first.
type Position struct {
	Timestamp time.Time
	EventID   string
}

// scan is one Scan on its way.
type scan struct {
	s      *Store
	filter Filter
	after  Position
	spans  []span // of time, still to be read; used where there is no index over time
	found  bool   // spans have been looked for
	page   int
}

// span is the time from start (inclusive) to end (exclusive) and how many events lie in it.
type span struct {
	start, end time.Time
	events     int64
}

const (
	firstScanPage = 1_000
	largestPage   = 10_000  // events
	pageBytes     = 8 << 20 // of JSON, about, going by the page before
)

// Scan reads all the events a filter selects, oldest first by (Timestamp, ID), from after a position
// on: next returns a page at a time, empty at the end. Between two pages it holds nothing of the
// database, so that it may take as long as its reader does. What is stored when it begins, and not
// deleted meanwhile, it returns exactly once; what is stored later may be missing. It is for one
// goroutine.
func (s *Store) Scan(f Filter, after Position) (next func(context.Context) ([]event.Event, error)) {
	c := &scan{s: s, filter: f, after: after, page: firstScanPage}
	return c.next
}

func (c *scan) next(ctx context.Context) ([]event.Event, error) {
	if err := checkTexts(append(c.filter.texts(), c.after.EventID)...); err != nil {
		return nil, err
	}
	for {
		within, more, err := c.where(ctx)
		if err != nil || !more {
			return nil, err
		}
		list, err := c.read(ctx, within)
		if err != nil {
			return nil, err
		}
		if len(list) < c.page && len(c.spans) > 0 {
			c.spans = c.spans[1:] // it has been read to its end
		}
		if len(list) > 0 {
			last := &list[len(list)-1]
			c.after = Position{last.Timestamp, last.ID}
			c.adapt(list)
			return list, nil
		}
		if within.end.IsZero() {
			return nil, nil
		}
	}
}

// where is the span that the next page lies in, and whether there is one.
func (c *scan) where(ctx context.Context) (span, bool, error) {
	if !c.s.d.columnar() {
		return span{}, true, nil
	}
	if !c.found {
		if err := c.find(ctx); err != nil {
			return span{}, false, err
		}
		c.found = true
	}
	for len(c.spans) > 0 {
		sp := c.spans[0]
		if sp.events <= 4*largestPage || sp.end.Sub(sp.start) <= time.Microsecond {
			return sp, true, nil
		}
		finer, err := c.divide(ctx, sp.start, sp.end)
		if err != nil {
			return span{}, false, err
		}
		c.spans = append(finer, c.spans[1:]...)
	}
	return span{}, false, nil
}

const (
	scanRange = `SELECT min(ts) AS first, max(ts) AS last FROM events WHERE `
	// scanShares is how many parts a span is divided into at once.
	scanShares  = 4096
	scanHistory = `
SELECT epoch_us(ts) // $1 AS share, count(*) AS events FROM events WHERE `
)

// find looks how the events spread over time.
func (c *scan) find(ctx context.Context) error {
	var args arguments
	conditions, err := c.conditions(&args, span{})
	if err != nil {
		return err
	}
	var r struct{ First, Last *time.Time }
	err = c.s.query(ctx, "SELECT events", func(ctx context.Context, db *sqlx.DB) error {
		return db.GetContext(ctx, &r, scanRange+conditions, args...)
	})
	if err != nil || r.First == nil {
		return err
	}
	c.spans, err = c.divide(ctx, r.First.UTC(), r.Last.UTC().Add(time.Microsecond))
	return err
}

// divide returns spans of about a page each that together hold the events of a larger one.
func (c *scan) divide(ctx context.Context, start, end time.Time) ([]span, error) {
	width := max(end.Sub(start).Microseconds()/scanShares, 1)
	args := arguments{width}
	conditions, err := c.conditions(&args, span{start: start, end: end})
	if err != nil {
		return nil, err
	}
	var shares []struct{ Share, Events int64 }
	err = c.s.query(ctx, "SELECT events", func(ctx context.Context, db *sqlx.DB) error {
		return db.SelectContext(ctx, &shares, scanHistory+conditions+" GROUP BY share ORDER BY share", args...)
	})
	if err != nil {
		return nil, err
	}
	var list []span
	for _, sh := range shares {
		from := time.UnixMicro(sh.Share * width).UTC()
		to := from.Add(time.Duration(width) * time.Microsecond)
		if n := len(list); n > 0 && list[n-1].events+sh.Events <= largestPage {
			list[n-1].end = to
			list[n-1].events += sh.Events
			continue
		}
		list = append(list, span{start: from, end: to, events: sh.Events})
	}
	return list, nil
}

func (c *scan) read(ctx context.Context, within span) ([]event.Event, error) {
	var args arguments
	conditions, err := c.conditions(&args, within)
	if err != nil {
		return nil, err
	}
	query := "SELECT " + eventColumns + " FROM events WHERE " + conditions + " ORDER BY ts, event_id LIMIT " + args.bind(c.page)
	var rows []row
	err = c.s.query(ctx, "SELECT events", func(ctx context.Context, db *sqlx.DB) error {
		return db.SelectContext(ctx, &rows, query, args...)
	})
	if err != nil {
		return nil, err
	}
	return events(rows)
}

// conditions select the filter's events after the position and within a span.
func (c *scan) conditions(args *arguments, within span) (string, error) {
	list, err := c.filter.conditions(c.s.d, args)
	if err != nil {
		return "", err
	}
	if !c.after.Timestamp.IsZero() {
		ts := args.bind(micro(c.after.Timestamp))
		list = append(list, "ts >= "+ts+" AND (ts > "+ts+" OR event_id > "+args.bind(c.after.EventID)+")")
	}
	if !within.end.IsZero() {
		list = append(list, "ts >= "+args.bind(within.start)+" AND ts < "+args.bind(within.end))
	}
	if len(list) == 0 {
		return "true", nil
	}
	return strings.Join(list, " AND "), nil
}

// adapt makes the next page as large as memory allows, going by the events of this one.
func (c *scan) adapt(list []event.Event) {
	bytes := 1
	for i := range list {
		bytes += 256 + len(list[i].Properties) + len(list[i].Metadata)
	}
	fits := pageBytes * len(list) / bytes
	c.page = max(64, min(2*c.page, fits, largestPage))
}

// Count is how many events a filter selects.
func (s *Store) Count(ctx context.Context, f Filter) (n int64, err error) {
	if err := checkTexts(f.texts()...); err != nil {
		return 0, err
	}
	all := scan{s: s, filter: f}
	var args arguments
	conditions, err := all.conditions(&args, span{})
	if err != nil {
		return 0, err
	}
	err = s.query(ctx, "SELECT events", func(ctx context.Context, db *sqlx.DB) error {
		return db.GetContext(ctx, &n, "SELECT count(*) FROM events WHERE "+conditions, args...)
	})
	return n, err
}

// texts are the filter's texts from outside.
func (f *Filter) texts() []string {
	return append([]string{f.EventType, f.EventName, f.UserID, f.SessionID, f.Severity}, f.Tags...)
}
