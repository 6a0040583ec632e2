package store

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// Alert is what one replica knows of an alert.
type Alert struct {
	Fingerprint  string
	Source       string // the replica
	Labels       map[string]string
	Annotations  map[string]string
	GeneratorURL string
	StartsAt     time.Time
	EndsAt       time.Time // until when it counts as active unless it is heard of again
	Resolved     bool      // it has ended, at EndsAt
	UpdatedAt    time.Time
	Noted        string // what the history says of it last; "" = nothing yet. SaveAlerting keeps it as it is
}

// Told is what a receiver was told last about a group of alerts.
type Told struct {
	Receiver string
	GroupKey string
	Firing   []string // fingerprints
	Resolved []string
	At       time.Time
}

// Alerting is all that must survive for notifications to be neither forgotten nor repeated.
type Alerting struct {
	Alerts   []Alert
	Told     []Told
	Silences []Silence
}

// AlertingChanges are stored together.
type AlertingChanges struct {
	Term     *Term // who may; nil = everybody
	Alerts   []Alert
	Noted    map[string]string // by fingerprint: what the history says of an alert now
	Ended    []string          // fingerprints of alerts that nobody needs to be told about any more
	Told     []Told
	History  []AlertEvent
	Forget   time.Time // history before is removed; zero = none
	Untold   time.Time // what was told before is forgotten; zero = none
	Unsilent time.Time // silences that ended before are removed; zero = none
}

const (
	upsertAlert = `
INSERT INTO active_alerts (fingerprint, source, labels, annotations, generator_url, starts_at, ends_at, resolved, updated_at, noted)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '')
ON CONFLICT (fingerprint, source) DO UPDATE SET
    annotations = EXCLUDED.annotations, generator_url = EXCLUDED.generator_url, starts_at = EXCLUDED.starts_at,
    ends_at = EXCLUDED.ends_at, resolved = EXCLUDED.resolved, updated_at = EXCLUDED.updated_at`
	noteAlert = `UPDATE active_alerts SET noted = $2 WHERE fingerprint = $1`
	// An alert that fires again somewhere stays.
	endAlert   = `DELETE FROM active_alerts WHERE fingerprint = $1 AND (resolved OR ends_at <= $2)`
	upsertTold = `
INSERT INTO notification_log (receiver, group_key, firing, resolved, sent_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (receiver, group_key) DO UPDATE SET
    firing = EXCLUDED.firing, resolved = EXCLUDED.resolved, sent_at = EXCLUDED.sent_at`
	forgetTold  = `DELETE FROM notification_log WHERE sent_at < $1`
	selectAlert = `
SELECT fingerprint, source, labels, annotations, generator_url, starts_at, ends_at, resolved, updated_at, noted
FROM active_alerts ORDER BY fingerprint, source`
	selectTold = `SELECT receiver, group_key, firing, resolved, sent_at FROM notification_log ORDER BY receiver, group_key`
)

// LoadAlerting returns what SaveAlerting and InsertSilence kept.
func (s *Store) LoadAlerting(ctx context.Context) (Alerting, error) {
	var a Alerting
	err := s.query(ctx, "SELECT active_alerts", func(ctx context.Context, db *sqlx.DB) (err error) {
		if a.Alerts, err = alerts(ctx, db); err != nil {
			return err
		}
		if a.Told, err = told(ctx, db); err != nil {
			return err
		}
		a.Silences, err = silences(ctx, db)
		return err
	})
	return a, err
}

// SaveAlerting stores all changes or none. It answers Conflict when the term has ended.
func (s *Store) SaveAlerting(ctx context.Context, c *AlertingChanges) error {
	return s.transact(ctx, "INSERT active_alerts", func(ctx context.Context, ses session) error {
		if err := s.inTerm(ctx, ses, c.Term); err != nil {
			return err
		}
		for i := range c.Alerts {
			if err := keepAlert(ctx, ses, &c.Alerts[i]); err != nil {
				return err
			}
		}
		// Sorted, so that two replicas never wait for each other in a circle.
		for _, fingerprint := range slices.Sorted(maps.Keys(c.Noted)) {
			if _, err := ses.ExecContext(ctx, noteAlert, fingerprint, c.Noted[fingerprint]); err != nil {
				return err
			}
		}
		for _, fingerprint := range c.Ended {
			if _, err := ses.ExecContext(ctx, endAlert, fingerprint, micro(s.cfg.Now())); err != nil {
				return err
			}
		}
		for _, t := range c.Told {
			_, err := ses.ExecContext(ctx, upsertTold, clean(t.Receiver), clean(t.GroupKey), list(t.Firing), list(t.Resolved), micro(t.At))
			if err != nil {
				return err
			}
		}
		if err := s.keepHistory(ctx, ses, c.History); err != nil {
			return err
		}
		return s.pruneAlerting(ctx, ses, c)
	})
}

func (s *Store) pruneAlerting(ctx context.Context, ses session, c *AlertingChanges) error {
	for _, p := range []struct {
		statement string
		before    time.Time
	}{{forgetHistory, c.Forget}, {forgetTold, c.Untold}, {forgetSilences, c.Unsilent}} {
		if p.before.IsZero() {
			continue
		}
		if _, err := ses.ExecContext(ctx, p.statement, micro(p.before)); err != nil {
			return err
		}
	}
	return nil
}

func keepAlert(ctx context.Context, ses session, a *Alert) error {
	_, err := ses.ExecContext(ctx, upsertAlert, a.Fingerprint, clean(a.Source), pairs(a.Labels), pairs(a.Annotations),
		clean(a.GeneratorURL), micro(a.StartsAt), micro(a.EndsAt), a.Resolved, micro(a.UpdatedAt))
	return err
}

func alerts(ctx context.Context, db *sqlx.DB) ([]Alert, error) {
	var rows []struct {
		Fingerprint  string
		Source       string
		Labels       []byte
		Annotations  []byte
		GeneratorURL string    `db:"generator_url"`
		StartsAt     time.Time `db:"starts_at"`
		EndsAt       time.Time `db:"ends_at"`
		Resolved     bool
		UpdatedAt    time.Time `db:"updated_at"`
		Noted        string
	}
	if err := db.SelectContext(ctx, &rows, selectAlert); err != nil {
		return nil, err
	}
	all := make([]Alert, len(rows))
	for i, r := range rows {
		all[i] = Alert{
			Fingerprint: r.Fingerprint, Source: r.Source, GeneratorURL: r.GeneratorURL, Resolved: r.Resolved, Noted: r.Noted,
			StartsAt: r.StartsAt.UTC(), EndsAt: r.EndsAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
		}
		if err := readJSON(r.Labels, &all[i].Labels, r.Annotations, &all[i].Annotations); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func told(ctx context.Context, db *sqlx.DB) ([]Told, error) {
	var rows []struct {
		Receiver string
		GroupKey string `db:"group_key"`
		Firing   []byte
		Resolved []byte
		SentAt   time.Time `db:"sent_at"`
	}
	if err := db.SelectContext(ctx, &rows, selectTold); err != nil {
		return nil, err
	}
	all := make([]Told, len(rows))
	for i, r := range rows {
		all[i] = Told{Receiver: r.Receiver, GroupKey: r.GroupKey, At: r.SentAt.UTC()}
		if err := readJSON(r.Firing, &all[i].Firing, r.Resolved, &all[i].Resolved); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// readJSON reads texts into values, given in turns.
func readJSON(textsAndValues ...any) error {
	for i := 0; i+1 < len(textsAndValues); i += 2 {
		if err := json.Unmarshal(textsAndValues[i].([]byte), textsAndValues[i+1]); err != nil {
			return errs.Wrap(errs.Internal, "what is kept of alerts cannot be read", err)
		}
	}
	return nil
}

// pairs and list are JSON texts, made of what the databases can hold.
func pairs(m map[string]string) string {
	held := make(map[string]string, len(m))
	for k, v := range m {
		held[clean(k)] = clean(v)
	}
	text, _ := json.Marshal(held) // strings always can
	return string(text)
}

func list(l []string) string {
	held := make([]string, len(l))
	for i, v := range l {
		held[i] = clean(v)
	}
	text, _ := json.Marshal(held) // strings always can
	return string(text)
}
