package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// Destination is an external service that events go on to. Config is JSON, secrets included. CreatedAt
// tells it from others that had its name before, UpdatedAt grows with every change.
type Destination struct {
	Name      string
	Config    []byte
	CreatedAt time.Time
	UpdatedAt time.Time
}

// DestinationCursor is how far one journal stream is delivered to one destination.
type DestinationCursor struct {
	Destination, Stream string
	Seq                 uint64    // every message up to and including Seq is delivered
	At                  time.Time `db:"written_at"` // when that message was written
	Of                  time.Time `db:"created_at"` // CreatedAt of the destination it is about
}

// DestinationReplay is what is to be delivered beside the journal: What is events received from From
// to before To, or dead letters. AfterAt and AfterID tell how far it is.
type DestinationReplay struct {
	ID, Destination, Stream, What string
	From, To, AfterAt             time.Time
	AfterID                       string
	Of                            time.Time // CreatedAt of the destination it is about
}

// Destinations is all that is kept of them: the cursors and replays of one stream only.
type Destinations struct {
	All     []Destination
	Cursors []DestinationCursor
	Replays []DestinationReplay // oldest first
}

const (
	selectDestinations = `SELECT name, config, created_at, updated_at FROM destinations ORDER BY name`
	selectDelivered    = `
SELECT c.destination, c.stream, c.seq, c.written_at, d.created_at
FROM destination_cursors c JOIN destinations d ON d.name = c.destination WHERE c.stream = $1`
	selectReplays = `
SELECT r.id, r.destination, r.stream, r.what, r.from_at, r.to_at, r.after_at, r.after_id, d.created_at
FROM destination_replays r JOIN destinations d ON d.name = r.destination
WHERE r.stream = $1 ORDER BY r.id`

	countDestinations = `SELECT count(*) FROM destinations`
	addDestination    = `
INSERT INTO destinations (name, config, created_at, updated_at) VALUES ($1, $2, $3, $3)
ON CONFLICT (name) DO NOTHING`
	changeDestination = `
UPDATE destinations SET config = $2, updated_at = $3 WHERE name = $1 AND created_at = $4 AND updated_at = $5`
	sameDestination   = `SELECT 1 FROM destinations WHERE name = $1 AND created_at = $2`
	deleteDestination = `DELETE FROM destinations WHERE name = $1`
	forgetCursors     = `DELETE FROM destination_cursors WHERE destination = $1`
	forgetReplays     = `DELETE FROM destination_replays WHERE destination = $1`
	forgetUndelivered = `DELETE FROM destination_dead_letters WHERE destination = $1`

	putDelivered = `
INSERT INTO destination_cursors (destination, stream, seq, written_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (destination, stream) DO UPDATE SET seq = EXCLUDED.seq, written_at = EXCLUDED.written_at`
	insertReplay = `
INSERT INTO destination_replays (id, destination, stream, what, from_at, to_at, after_at, after_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	countReplays = `SELECT count(*) FROM destination_replays WHERE destination = $1 AND stream = $2`
	moveReplay   = `UPDATE destination_replays SET after_at = $2, after_id = $3 WHERE id = $1`
	endReplay    = `DELETE FROM destination_replays WHERE id = $1`

	// goneStreams are those whose last sign of life, a message delivered, a replay asked for or a term of
	// office, lies before $2. The name of the office is destinations/ and the stream's.
	goneStreams = `
SELECT stream FROM (
    SELECT stream, written_at AS seen_at FROM destination_cursors
    UNION ALL SELECT stream, to_at FROM destination_replays
    UNION ALL SELECT substr(name, length('destinations/') + 1), ends_at FROM offices WHERE name LIKE 'destinations/%'
) signs WHERE stream <> $1 GROUP BY stream HAVING max(seen_at) < $2`
	dropCursors = `DELETE FROM destination_cursors WHERE stream = $1`
	dropReplays = `DELETE FROM destination_replays WHERE stream = $1`
	dropOffice  = `DELETE FROM offices WHERE name = 'destinations/' || $1::text`
)

// LoadDestinations reads all destinations with what is known of one stream.
func (s *Store) LoadDestinations(ctx context.Context, stream string) (Destinations, error) {
	var d Destinations
	var replays []struct {
		ID, Destination, Stream, What string
		FromAt                        time.Time `db:"from_at"`
		ToAt                          time.Time `db:"to_at"`
		AfterAt                       time.Time `db:"after_at"`
		AfterID                       string    `db:"after_id"`
		CreatedAt                     time.Time `db:"created_at"`
	}
	var all []struct {
		Name, Config string
		CreatedAt    time.Time `db:"created_at"`
		UpdatedAt    time.Time `db:"updated_at"`
	}
	err := s.query(ctx, "SELECT destinations", func(ctx context.Context, db *sqlx.DB) error {
		if err := db.SelectContext(ctx, &all, selectDestinations); err != nil || len(all) == 0 {
			return err
		}
		if err := db.SelectContext(ctx, &d.Cursors, selectDelivered, stream); err != nil {
			return err
		}
		return db.SelectContext(ctx, &replays, selectReplays, stream)
	})
	for _, r := range all {
		d.All = append(d.All, Destination{r.Name, []byte(r.Config), r.CreatedAt.UTC(), r.UpdatedAt.UTC()})
	}
	for i := range d.Cursors {
		d.Cursors[i].At, d.Cursors[i].Of = d.Cursors[i].At.UTC(), d.Cursors[i].Of.UTC()
	}
	for _, r := range replays {
		d.Replays = append(d.Replays, DestinationReplay{ID: r.ID, Destination: r.Destination, Stream: r.Stream, What: r.What,
			From: r.FromAt.UTC(), To: r.ToAt.UTC(), AfterAt: r.AfterAt.UTC(), AfterID: r.AfterID, Of: r.CreatedAt.UTC()})
	}
	return d, err
}

// AddDestination keeps a new destination, made at d.UpdatedAt. It begins at the cursor, and after the
// replay where there is one. added is false where there is one of its name; Conflict when there are as
// many as most.
func (s *Store) AddDestination(ctx context.Context, d Destination, at DestinationCursor, replay *DestinationReplay, most int) (added bool, err error) {
	if err := checkTexts(d.Name, string(d.Config)); err != nil {
		return false, err
	}
	err = s.transact(ctx, "INSERT destinations", func(ctx context.Context, ses session) error {
		result, err := ses.ExecContext(ctx, addDestination, d.Name, string(d.Config), micro(d.UpdatedAt))
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if added = n == 1; err != nil || !added {
			return err
		}
		var all int
		if err := ses.GetContext(ctx, &all, countDestinations); err != nil {
			return err
		}
		if all > most {
			return errs.New(errs.Conflict, "there are too many destinations; delete some first")
		}
		if _, err := ses.ExecContext(ctx, putDelivered, d.Name, at.Stream, int64(at.Seq), micro(at.At)); err != nil || replay == nil {
			return err
		}
		return insertReplayOf(ctx, ses, replay)
	})
	return added && err == nil, err
}

// ChangeDestination gives a destination, as it was read, the configuration and UpdatedAt of another
// one. changed is false when it was changed or deleted since.
func (s *Store) ChangeDestination(ctx context.Context, was, is Destination) (changed bool, err error) {
	if err := checkTexts(was.Name, string(is.Config)); err != nil {
		return false, err
	}
	err = s.transact(ctx, "UPDATE destinations", func(ctx context.Context, ses session) error {
		result, err := ses.ExecContext(ctx, changeDestination, was.Name, string(is.Config), micro(is.UpdatedAt), micro(was.CreatedAt), micro(was.UpdatedAt))
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		changed = n == 1
		return err
	})
	return changed && err == nil, err
}

// sameDestination reports whether the destination of a name is still the one made at a time. Until
// the transaction ends it is.
func (s *Store) sameDestination(ctx context.Context, ses session, name string, made time.Time) (bool, error) {
	var found []int
	err := ses.SelectContext(ctx, &found, sameDestination+s.d.forUpdate(), name, micro(made))
	return len(found) > 0, err
}

// DeleteDestination forgets a destination and all that waits for it, NotFound where there is none.
func (s *Store) DeleteDestination(ctx context.Context, name string) error {
	if err := checkTexts(name); err != nil {
		return err
	}
	return s.transact(ctx, "DELETE destinations", func(ctx context.Context, ses session) error {
		result, err := ses.ExecContext(ctx, deleteDestination, name)
		if err := one(result, err, errs.New(errs.NotFound, "there is no destination of this name")); err != nil {
			return err
		}
		for _, forget := range []string{forgetCursors, forgetReplays, forgetUndelivered} {
			if _, err := ses.ExecContext(ctx, forget, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// DestinationChanges is what one SaveDestinations keeps.
type DestinationChanges struct {
	Cursors []DestinationCursor
	New     []DestinationReplay
	Moved   []DestinationReplay // with their new positions
	Ended   []string            // ids of replays
}

// SaveDestinations keeps how far deliveries are. What is about a destination that was deleted
// meanwhile is passed over, be there another one of its name or not. Conflict when the term is over.
func (s *Store) SaveDestinations(ctx context.Context, term *Term, c *DestinationChanges) error {
	return s.transact(ctx, "INSERT destination_cursors", func(ctx context.Context, ses session) error {
		if err := s.inTerm(ctx, ses, term); err != nil {
			return err
		}
		for _, d := range c.Cursors {
			if same, err := s.sameDestination(ctx, ses, d.Destination, d.Of); err != nil {
				return err
			} else if !same {
				continue
			}
			if _, err := ses.ExecContext(ctx, putDelivered, d.Destination, d.Stream, int64(d.Seq), micro(d.At)); err != nil {
				return err
			}
		}
		for i := range c.New {
			if err := s.addReplay(ctx, ses, &c.New[i]); err != nil {
				return err
			}
		}
		for _, r := range c.Moved {
			if _, err := ses.ExecContext(ctx, moveReplay, r.ID, micro(r.AfterAt), r.AfterID); err != nil {
				return err
			}
		}
		for _, id := range c.Ended {
			if _, err := ses.ExecContext(ctx, endReplay, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// ForgetStreams removes what is kept of journal streams other than the current one that nobody has
// been heard of since a time: their replicas are gone. It returns how many they were.
func (s *Store) ForgetStreams(ctx context.Context, current string, since time.Time) (gone int, err error) {
	err = s.transact(ctx, "DELETE destination_cursors", func(ctx context.Context, ses session) error {
		var streams []string
		if err := ses.SelectContext(ctx, &streams, goneStreams, current, micro(since)); err != nil {
			return err
		}
		for _, stream := range streams {
			for _, drop := range []string{dropReplays, dropCursors, dropOffice} {
				if _, err := ses.ExecContext(ctx, drop, stream); err != nil {
					return err
				}
			}
		}
		gone = len(streams)
		return nil
	})
	return gone, err
}

// AddReplay keeps a replay, Conflict when as many as most wait for the destination at that stream.
func (s *Store) AddReplay(ctx context.Context, r DestinationReplay, most int) error {
	return s.transact(ctx, "INSERT destination_replays", func(ctx context.Context, ses session) error {
		var n int
		if err := ses.GetContext(ctx, &n, countReplays, r.Destination, r.Stream); err != nil {
			return err
		}
		if n >= most {
			return errs.New(errs.Conflict, "too many replays wait for this destination")
		}
		return s.addReplay(ctx, ses, &r)
	})
}

// addReplay keeps a replay of a destination that is still there.
func (s *Store) addReplay(ctx context.Context, ses session, r *DestinationReplay) error {
	same, err := s.sameDestination(ctx, ses, r.Destination, r.Of)
	if err != nil || !same {
		return err
	}
	return insertReplayOf(ctx, ses, r)
}

func insertReplayOf(ctx context.Context, ses session, r *DestinationReplay) error {
	_, err := ses.ExecContext(ctx, insertReplay, r.ID, r.Destination, r.Stream, r.What,
		micro(r.From), micro(r.To), micro(r.AfterAt), r.AfterID)
	return err
}
