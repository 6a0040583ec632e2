package store

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// List returns the events a filter selects, newest first by (Timestamp, ID), from after the page's
// place. A page's limit is at least 1. Without an index over time it is read by spans, so that a page
// costs what lies near it; an event that is stored meanwhile may be missing. A list with conditions
// may have to look at every event, so it takes its turn with the questions.
func (s *Store) List(ctx context.Context, f Filter, p Page) ([]event.Event, error) {
	if p.Limit < 1 {
		return nil, errs.New(errs.Internal, "a page needs a limit")
	}
	if err := checkTexts(append(f.texts(), p.EventID)...); err != nil {
		return nil, err
	}
	if len(f.Where) > 0 {
		release, err := s.slot(ctx)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	switch {
	case f.UserID != "":
		return s.d.listOfUser(ctx, s, f, p)
	case s.d.columnar():
		return s.listBack(ctx, f, p)
	}
	return s.page(ctx, f, p, nil)
}

// listSpans are read one after the other until a page is full: dense lists need the first, most others the
// second. What lies further back is read at once.
var listSpans = [...]time.Duration{time.Hour, 48 * time.Hour}

// listBack reads spans of time, from the page's place back.
func (s *Store) listBack(ctx context.Context, f Filter, p Page) ([]event.Event, error) {
	from := s.cfg.Now()
	for _, t := range []time.Time{p.Timestamp, f.End} {
		if !t.IsZero() {
			from = earlier(from, t)
		}
	}
	start := f.Start
	var list []event.Event
	for _, width := range listSpans {
		f.Start = micro(from.Add(-width))
		if !start.Before(f.Start) {
			break
		}
		events, err := s.page(ctx, f, p, nil)
		if err != nil {
			return nil, err
		}
		if list = append(list, events...); len(events) == p.Limit {
			return list, nil
		}
		from, f.End = f.Start, f.Start
		p = Page{Limit: p.Limit - len(events)}
	}
	f.Start = start
	events, err := s.page(ctx, f, p, nil)
	return append(list, events...), err
}

// page reads the first events of a list in one statement. Where there are times, the latest first, it
// reads those at these times only: from the last of them on there are no others.
func (s *Store) page(ctx context.Context, f Filter, p Page, times []time.Time) ([]event.Event, error) {
	var args arguments
	conditions, err := f.conditions(s.d, &args)
	if err != nil {
		return nil, err
	}
	if !p.Timestamp.IsZero() {
		ts := args.bind(micro(p.Timestamp))
		// The first half is for the index, the second for events of the same instant.
		conditions = append(conditions, "ts <= "+ts+" AND (ts < "+ts+" OR event_id < "+args.bind(p.EventID)+")")
	}
	limit := ""
	if len(times) > 0 {
		var at string
		at, limit = s.d.atTimes(times, p.Limit, &args)
		conditions = append(conditions, at)
	} else {
		limit = args.bind(p.Limit)
	}
	query := "SELECT " + eventColumns + " FROM events"
	if len(conditions) > 0 {
		query += " WHERE " + strings.Join(conditions, " AND ")
	}
	query += " ORDER BY ts DESC, event_id DESC LIMIT " + limit

	var rows []row
	err = s.query(ctx, "SELECT events", func(ctx context.Context, db *sqlx.DB) error {
		return db.SelectContext(ctx, &rows, query, args...)
	})
	if err != nil {
		return nil, err
	}
	return events(rows)
}

// conditions are constant texts with placeholders; values go to args only.
func (f *Filter) conditions(d dialect, args *arguments) ([]string, error) {
	var list []string
	for _, equal := range []struct{ column, value string }{
		{"event_type = ", f.EventType}, {"event_name = ", f.EventName},
		{"session_id = ", f.SessionID}, {"severity = ", f.Severity},
	} {
		if equal.value != "" {
			list = append(list, equal.column+args.bind(equal.value))
		}
	}
	if f.UserID != "" {
		list = append(list, d.ofUser(f.UserID, args))
	}
	// Written out, as PostgreSQL has an index of those that are; compared, as DuckDB then leaves out parts of
	// the table that have none.
	if f.Processed != nil {
		list = append(list, "processed = "+strconv.FormatBool(*f.Processed))
	}
	if len(f.Tags) > 0 {
		tags, err := tagsText(f.Tags)
		if err != nil {
			return nil, err
		}
		before, after := d.hasTags()
		list = append(list, before+args.bind(tags)+after)
	}
	for _, bound := range []struct {
		column string
		at     time.Time
	}{{"ts >= ", f.Start}, {"ts < ", f.End}} {
		if !bound.at.IsZero() {
			list = append(list, bound.column+args.bind(micro(bound.at)))
		}
	}
	c := compiler{d: d, args: *args, inline: true}
	list = append(list, c.where(f.Where)...)
	*args = c.args
	return list, nil
}
