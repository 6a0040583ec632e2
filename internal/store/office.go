package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// Term is the time one process holds an office: work that only one of all replicas may do.
type Term struct {
	Office string
	Holder string // unique to the process
	Number int64  // grows whenever another takes over
	Alone  bool   // nobody else can
}

const (
	elect = `
INSERT INTO offices (name, holder, term, ends_at)
VALUES ($1, $2, 1, clock_timestamp() + $3 * interval '1 millisecond')
ON CONFLICT (name) DO UPDATE SET
    holder = EXCLUDED.holder,
    term = CASE WHEN offices.holder = EXCLUDED.holder THEN offices.term ELSE offices.term + 1 END,
    ends_at = EXCLUDED.ends_at
WHERE offices.holder = EXCLUDED.holder OR offices.ends_at <= clock_timestamp()
RETURNING term`
	resign = `UPDATE offices SET ends_at = clock_timestamp() WHERE name = $1 AND holder = $2`
	inTerm = `SELECT count(*) FROM (SELECT 1 FROM offices WHERE name = $1 AND holder = $2 AND term = $3 FOR SHARE) o`
)

// Elect gives a free office to the holder, or renews the term of the one who has it, for ttl from
// now by the database's clock. ok is false while another has it. The embedded database belongs to
// one process, which holds every office for ever.
func (s *Store) Elect(ctx context.Context, office, holder string, ttl time.Duration) (t Term, ok bool, err error) {
	t = Term{Office: office, Holder: holder, Number: 1}
	if s.d.alone() {
		t.Alone = true
		return t, true, nil
	}
	err = s.transact(ctx, "INSERT offices", func(ctx context.Context, ses session) error {
		err := ses.GetContext(ctx, &t.Number, elect, office, holder, ttl.Milliseconds())
		ok = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return t, ok && err == nil, err
}

// Resign ends the holder's term at once, if it has one.
func (s *Store) Resign(ctx context.Context, office, holder string) error {
	if s.d.alone() {
		return nil
	}
	return s.transact(ctx, "UPDATE offices", func(ctx context.Context, ses session) error {
		_, err := ses.ExecContext(ctx, resign, office, holder)
		return err
	})
}

// inTerm is Conflict when another has taken over since. Until the transaction ends nobody can.
func (s *Store) inTerm(ctx context.Context, ses session, t *Term) error {
	if t == nil || s.d.alone() {
		return nil
	}
	var held int
	if err := ses.GetContext(ctx, &held, inTerm, t.Office, t.Holder, t.Number); err != nil {
		return err
	}
	if held == 0 {
		return errs.New(errs.Conflict, "another replica has taken over")
	}
	return nil
}
