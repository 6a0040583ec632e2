package store

import (
	"context"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// List returns the events a filter selects, newest first by (Timestamp, ID), from after the page's
// place. A page's limit is at least 1.
func (s *Store) List(ctx context.Context, f Filter, p Page) ([]event.Event, error) {
	if p.Limit < 1 {
		return nil, errs.New(errs.Internal, "a page needs a limit")
	}
	if err := checkTexts(append(f.texts(), p.EventID)...); err != nil {
		return nil, err
	}
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
	query := "SELECT " + eventColumns + " FROM events"
	if len(conditions) > 0 {
		query += " WHERE " + strings.Join(conditions, " AND ")
	}
	query += " ORDER BY ts DESC, event_id DESC LIMIT " + args.bind(p.Limit)

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
		{"event_type = ", f.EventType}, {"event_name = ", f.EventName}, {"user_id = ", f.UserID},
		{"session_id = ", f.SessionID}, {"severity = ", f.Severity},
	} {
		if equal.value != "" {
			list = append(list, equal.column+args.bind(equal.value))
		}
	}
	if f.Processed != nil {
		list = append(list, "processed = "+args.bind(*f.Processed))
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
	return list, nil
}
