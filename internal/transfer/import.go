package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
)

// Intake takes in rows, each the JSON of one event with its id, and says which it refused. After
// an error nothing of the chunk is known to be taken in; the same chunk may be handed in again.
type Intake interface {
	Submit(ctx context.Context, rows []Row) (refused []Refusal, err error)
}

// Refusal is a row that was not taken in and why, without its values.
type Refusal struct {
	Row    int64
	Reason string
}

// Tally is what became of the rows so far.
type Tally struct {
	Skipped  int64 // taken in by an earlier attempt
	Accepted int64
	Rejected int64
	Last     int64 // every row up to this one is settled
}

// Job is one import. Reader and Intake are required.
type Job struct {
	Reader   Reader
	Intake   Intake
	After    int64                     // rows up to this one are passed over
	Strict   bool                      // stop at the first row that is refused
	Refused  func(Refusal)             // told of refused rows, in no order; nil = nobody
	Progress func(Tally)               // told after each chunk, in order of the rows; nil = nobody
	Waits    func(error)               // told once a chunk has been refused for a while, why; nil = nobody
	Save     func(Tally) error         // keeps how far it is, now and then and at the end; nil = nothing
	Now      func() time.Time          // required
	Wait     func(time.Duration) error // between two attempts; nil = by the clock, until the context ends
}

const (
	chunkRows  = 1_000
	chunkBytes = 512 << 10 // half of what a request may have
	submitters = 4
	saveEvery  = 2 * time.Second
	// patience is how long a chunk is tried while the service is away or full.
	patience   = 10 * time.Minute
	retryFirst = 100 * time.Millisecond
	tellAt     = 4 // tries, about a second and a half
	retryMost  = 5 * time.Second
)

// ErrStrict is why a strict import stops.
var ErrStrict = errors.New("a row was refused and the import is strict")

// chunk is some rows in order; its JSON is its own.
type chunk struct {
	index   int
	rows    []Row
	text    []byte
	refused []Refusal
	count   int   // of the rows that were not skipped
	last    int64 // number of the last row
	skipped int64
}

// Run reads to the end of the reader and returns what became of the rows. With an error, rows beyond
// Last may have been taken in as well.
func (j *Job) Run(ctx context.Context) (Tally, error) {
	g, ctx := errgroup.WithContext(ctx)
	chunks, done := make(chan *chunk), make(chan *chunk, submitters)
	var broken error // of the reader; the rows before are taken in all the same
	g.Go(func() (err error) { defer close(chunks); broken, err = j.read(ctx, chunks); return err })
	var workers errgroup.Group
	for range submitters {
		workers.Go(func() error { return j.work(ctx, chunks, done) })
	}
	g.Go(func() error { defer close(done); return workers.Wait() })
	var tally Tally
	g.Go(func() (err error) { tally, err = j.collect(ctx, done); return err })
	err := g.Wait()
	return tally, errors.Join(err, broken)
}

// read cuts the reader's rows into chunks. It returns apart why the reader broke, if it did.
func (j *Job) read(ctx context.Context, to chan<- *chunk) (broken, err error) {
	c, last := &chunk{}, int64(0)
	give := func() error {
		select {
		case to <- c:
			c = &chunk{index: c.index + 1}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		row, err := j.Reader.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				broken = fmt.Errorf("behind row %d: %w", last, err)
			}
			if c.last > 0 {
				return broken, give()
			}
			return broken, nil
		}
		last = row.Number
		c.add(row, row.Number <= j.After)
		if len(c.rows) >= chunkRows || len(c.text) >= chunkBytes || c.skipped >= 100*chunkRows {
			if err := give(); err != nil {
				return nil, err
			}
		}
	}
}

func (c *chunk) add(row Row, skip bool) {
	c.last = row.Number
	if !skip {
		c.count++
	}
	if skip {
		c.skipped++
		return
	}
	from := len(c.text)
	if row.Err == nil {
		c.text = identified(c.text, row)
	} else {
		c.text = append(c.text, unreadable...)
	}
	// What was cut from an older array when text grew stays valid: nobody writes to it again.
	c.rows = append(c.rows, Row{Number: row.Number, JSON: c.text[from:len(c.text):len(c.text)], Err: row.Err})
}

// unreadable is handed in for a row that cannot be read, to be refused and counted like any other.
const unreadable = "null"

// explain says of rows that could not be read why: what took them in could not know.
func (c *chunk) explain(refused []Refusal) []Refusal {
	unread := map[int64]error{}
	for _, row := range c.rows {
		if row.Err != nil {
			unread[row.Number] = row.Err
		}
	}
	for i := range refused {
		if err := unread[refused[i].Row]; err != nil {
			refused[i].Reason = ReasonOf(err)
		}
	}
	return refused
}

// identified appends a row's JSON, with an id where it has none: made of its text and its place,
// so that the same row of the same file is the same event in every attempt.
func identified(to []byte, row Row) []byte {
	return eventjson.AppendIdentified(to, row.JSON, func() string {
		h := sha256.New()
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(row.Number)))
		h.Write(row.JSON)
		return "row-" + hex.EncodeToString(h.Sum(nil)[:16])
	})
}

// work hands chunks in until there are no more.
func (j *Job) work(ctx context.Context, from <-chan *chunk, to chan<- *chunk) error {
	for c := range from {
		if len(c.rows) > 0 {
			refused, err := j.fit(ctx, c.rows)
			if err != nil {
				return err
			}
			c.refused = c.explain(refused)
		}
		c.rows, c.text = nil, nil
		select {
		case to <- c:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// fit hands rows in, in halves where they are too much at once. One that is too much alone is refused.
func (j *Job) fit(ctx context.Context, rows []Row) ([]Refusal, error) {
	refused, err := j.submit(ctx, rows)
	switch {
	case !errs.Is(err, errs.TooLarge):
		return refused, err
	case len(rows) == 1:
		return []Refusal{{rows[0].Number, ReasonOf(err)}}, nil
	}
	refused, err = j.fit(ctx, rows[:len(rows)/2])
	if err != nil {
		return nil, err
	}
	more, err := j.fit(ctx, rows[len(rows)/2:])
	return append(refused, more...), err
}

// submit tries until the rows are taken in, as long as trying again may help.
func (j *Job) submit(ctx context.Context, rows []Row) ([]Refusal, error) {
	began := j.Now()
	for delay, try := retryFirst, 0; ; delay, try = min(2*delay, retryMost), try+1 {
		refused, err := j.Intake.Submit(ctx, rows)
		if err == nil || ctx.Err() != nil {
			return refused, err
		}
		switch errs.KindOf(err) {
		case errs.Unavailable, errs.Overloaded, errs.RateLimited:
		default:
			return nil, fmt.Errorf("rows %d to %d: %w", rows[0].Number, rows[len(rows)-1].Number, err)
		}
		if j.Now().Sub(began) > patience {
			return nil, fmt.Errorf("gave up after %v: %w", patience, err)
		}
		if try == tellAt && j.Waits != nil {
			j.Waits(err)
		}
		if err := j.pause(ctx, delay); err != nil {
			return nil, err
		}
	}
}

func (j *Job) pause(ctx context.Context, d time.Duration) error {
	if j.Wait != nil {
		return j.Wait(d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// collect adds the chunks up in the order of their rows.
func (j *Job) collect(ctx context.Context, from <-chan *chunk) (t Tally, err error) {
	waiting := map[int]*chunk{}
	saved, next := j.Now(), 0
	for c := range from {
		waiting[c.index] = c
		for ; waiting[next] != nil; next++ {
			before := t
			j.settle(&t, waiting[next])
			delete(waiting, next)
			if j.Strict && t.Rejected > 0 { // the next attempt has to meet the same row
				return t, errors.Join(ErrStrict, j.save(before))
			}
		}
		if j.Progress != nil {
			j.Progress(t)
		}
		if now := j.Now(); now.Sub(saved) >= saveEvery {
			if err := j.save(t); err != nil {
				return t, err
			}
			saved = now
		}
	}
	return t, errors.Join(ctx.Err(), j.save(t))
}

// settle adds one chunk.
func (j *Job) settle(t *Tally, c *chunk) {
	t.Skipped += c.skipped
	t.Rejected += int64(len(c.refused))
	t.Accepted += int64(c.count - len(c.refused))
	t.Last = c.last
	if j.Refused == nil {
		return
	}
	for _, r := range c.refused {
		j.Refused(r)
	}
}

func (j *Job) save(t Tally) error {
	if j.Save == nil || t.Last == 0 {
		return nil
	}
	return j.Save(t)
}

// ReasonOf puts what is wrong with an event into one line, without its values.
func ReasonOf(err error) string {
	var e *errs.Error
	if !errors.As(err, &e) || e.Kind == errs.Internal {
		return "the row cannot be read"
	}
	if len(e.Fields) == 0 {
		return e.Detail
	}
	var b strings.Builder
	for i, f := range e.Fields {
		if i == mostFaults {
			b.WriteString("; …")
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		if f.Location != "" {
			b.WriteString(f.Location + " ")
		}
		b.WriteString(f.Message)
	}
	return b.String()
}

// mostFaults bounds what is told of one row.
const mostFaults = 10
