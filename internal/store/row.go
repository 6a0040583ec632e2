package store

import (
	"database/sql"
	"encoding/json"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// eventColumns are the columns of events in the table's order, but for those that DuckDB has besides.
// Its appender goes by position.
const eventColumns = `ts, received_at, processed_at, sample_rate, processed, event_id, event_name, event_type, severity,
user_id, anonymous_id, session_id, source, user_agent, ip_address, referrer, timezone, properties, metadata, tags`

// row is one event as a query returns it.
type row struct {
	TS          time.Time      `db:"ts"`
	ReceivedAt  time.Time      `db:"received_at"`
	ProcessedAt sql.NullTime   `db:"processed_at"`
	SampleRate  float64        `db:"sample_rate"`
	Processed   bool           `db:"processed"`
	EventID     string         `db:"event_id"`
	EventName   string         `db:"event_name"`
	EventType   string         `db:"event_type"`
	Severity    string         `db:"severity"`
	UserID      sql.NullString `db:"user_id"`
	AnonymousID sql.NullString `db:"anonymous_id"`
	SessionID   sql.NullString `db:"session_id"`
	Source      sql.NullString `db:"source"`
	UserAgent   sql.NullString `db:"user_agent"`
	IPAddress   sql.NullString `db:"ip_address"`
	Referrer    sql.NullString `db:"referrer"`
	Timezone    sql.NullString `db:"timezone"`
	Properties  []byte         `db:"properties"`
	Metadata    []byte         `db:"metadata"`
	Tags        []byte         `db:"tags"`
}

func (r *row) event() (event.Event, error) {
	e := event.Event{
		ID: r.EventID, Name: r.EventName, Type: event.Type(r.EventType),
		Timestamp: r.TS.UTC(), ReceivedAt: r.ReceivedAt.UTC(),
		UserID: r.UserID.String, AnonymousID: r.AnonymousID.String, SessionID: r.SessionID.String,
		Properties: r.Properties, Metadata: r.Metadata, Severity: event.Severity(r.Severity),
		Source: r.Source.String, UserAgent: r.UserAgent.String, IPAddress: r.IPAddress.String,
		Referrer: r.Referrer.String, Timezone: r.Timezone.String,
		SampleRate: r.SampleRate, Processed: r.Processed, ProcessedAt: utc(r.ProcessedAt),
	}
	if r.Tags == nil {
		return e, nil
	}
	return e, json.Unmarshal(r.Tags, &e.Tags)
}

func events(rows []row) ([]event.Event, error) {
	list := make([]event.Event, len(rows))
	for i := range rows {
		var err error
		if list[i], err = rows[i].event(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// utc is a time read from the database, zero for NULL.
func utc(t sql.NullTime) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return t.Time.UTC()
}

// nullTime is a time to write, NULL for zero, cut to what both databases keep.
func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return micro(t)
}

func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// appendTags appends tags as a JSON array.
func appendTags(b []byte, tags []string) ([]byte, error) {
	text, err := json.Marshal(tags)
	return append(b, text...), err
}

// tagsText is tags as a JSON array to write, NULL where there are none.
func tagsText(tags []string) (any, error) {
	if len(tags) == 0 {
		return nil, nil
	}
	b, err := appendTags(nil, tags)
	return string(b), err
}
