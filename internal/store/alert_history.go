package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

// AlertEvent is a line of the alerts' history.
type AlertEvent struct {
	At          time.Time
	What        string // fired, resolved, notified, failed
	Fingerprint string // of fired and resolved
	AlertName   string
	Labels      map[string]string
	Receiver    string // of notified and failed
	Detail      string
}

// AlertHistoryFilter selects lines; an empty text selects all.
type AlertHistoryFilter struct {
	What      string
	AlertName string
	Limit     int
}

const (
	selectHistory = `
SELECT noted_at, what, fingerprint, alertname, labels, receiver, detail FROM alert_history
WHERE ($1 = '' OR what = $1) AND ($2 = '' OR alertname = $2)
ORDER BY noted_at DESC, what DESC, fingerprint LIMIT $3`
	forgetHistory = `DELETE FROM alert_history WHERE noted_at < $1`
)

// AlertHistory returns the newest lines first.
func (s *Store) AlertHistory(ctx context.Context, f AlertHistoryFilter) ([]AlertEvent, error) {
	if err := checkTexts(f.What, f.AlertName); err != nil {
		return nil, err
	}
	var rows []struct {
		NotedAt     time.Time `db:"noted_at"`
		What        string
		Fingerprint string
		AlertName   string `db:"alertname"`
		Labels      []byte
		Receiver    string
		Detail      string
	}
	err := s.query(ctx, "SELECT alert_history", func(ctx context.Context, db *sqlx.DB) error {
		return db.SelectContext(ctx, &rows, selectHistory, f.What, f.AlertName, f.Limit)
	})
	if err != nil {
		return nil, err
	}
	all := make([]AlertEvent, len(rows))
	for i, r := range rows {
		all[i] = AlertEvent{At: r.NotedAt.UTC(), What: r.What, Fingerprint: r.Fingerprint,
			AlertName: r.AlertName, Receiver: r.Receiver, Detail: r.Detail}
		if err := readJSON(r.Labels, &all[i].Labels); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (s *Store) keepHistory(ctx context.Context, ses session, events []AlertEvent) error {
	rows := make([][]any, len(events))
	for i, e := range events {
		rows[i] = []any{micro(e.At), clean(e.What), e.Fingerprint, clean(e.AlertName), pairs(e.Labels), clean(e.Receiver), clean(e.Detail)}
	}
	return s.d.load(ctx, ses, "alert_history",
		[]string{"noted_at", "what", "fingerprint", "alertname", "labels", "receiver", "detail"}, rows)
}
