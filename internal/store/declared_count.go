package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/rollup"
)

// portion is what some events have of a declaration: values of a dimension or numbers.
type portion struct {
	values  *rollup.Values
	numbers *rollup.Numbers
}

func newPortion(number bool) *portion {
	if number {
		return &portion{numbers: &rollup.Numbers{}}
	}
	return &portion{values: &rollup.Values{}}
}

// merge adds what append has written, of numbers with what percentiles need or without.
func (c *portion) merge(data []byte, percentiles bool) error {
	switch {
	case c.values != nil:
		return c.values.Merge(data)
	case percentiles:
		return c.numbers.Merge(data)
	default:
		return c.numbers.MergeSums(data)
	}
}

func (c *portion) join(other *portion) error {
	if c.values != nil {
		c.values.Join(other.values)
		return nil
	}
	return c.numbers.Join(other.numbers)
}

func (c *portion) append(b []byte) []byte {
	if c.values != nil {
		return c.values.Append(b)
	}
	return c.numbers.Append(b)
}

// settle reports whether anything is left.
func (c *portion) settle(budget int) bool {
	if c.values == nil {
		return c.numbers.Events != 0
	}
	c.values.Settle(budget)
	return !c.values.Empty()
}

// byName is what there is of a declaration by the events' names; "" is all of them.
type byName map[string]*portion

func (m byName) at(name string, number bool) *portion {
	c := m[name]
	if c == nil {
		c = newPortion(number)
		m[name] = c
	}
	return c
}

// counting counts events by hour and name, all that is declared of them at once.
type counting struct {
	all     *declarations
	readers []*declared.Reader
	hours   map[time.Time]map[string][]*portion // the last in the order of the declarations
	shrunk  map[time.Time]map[int]bool          // where numbers were taken away
	buf     []byte
}

func (all *declarations) counting() *counting {
	c := &counting{all: all, hours: map[time.Time]map[string][]*portion{}, shrunk: map[time.Time]map[int]bool{}}
	for _, set := range all.sets {
		c.readers = append(c.readers, set.Reader())
	}
	return c
}

// add counts n more events like this one. Numbers cannot be taken away.
func (c *counting) add(e *event.Event, n int64) error {
	at := e.Timestamp.UTC().Truncate(hour)
	names := c.hours[at]
	if names == nil {
		names = map[string][]*portion{}
		c.hours[at] = names
	}
	list := names[e.Name]
	if list == nil {
		list = make([]*portion, len(c.all.list))
		names[e.Name] = list
	}
	for i, r := range c.readers {
		set, got := &c.all.sets[i], r.Read(e)
		for k, d := range got.Dimensions {
			v := place(list, set.dimensions[d], false).values
			v.Add(got.Values[k], n)
			if e.SampleRate < 1 {
				v.Sampled += n
			}
		}
		for k, d := range got.Numbers {
			x := set.numbers[d]
			if n < 0 {
				c.shrink(at, x)
			} else if err := place(list, x, true).numbers.Add(got.Readings[k], n); err != nil {
				return err
			}
		}
	}
	return nil
}

func place(list []*portion, i int, number bool) *portion {
	if list[i] == nil {
		list[i] = newPortion(number)
	}
	return list[i]
}

func (c *counting) shrink(at time.Time, declaration int) {
	if c.shrunk[at] == nil {
		c.shrunk[at] = map[int]bool{}
	}
	c.shrunk[at][declaration] = true
}

var declaredColumns = []string{"bucket", "declaration", "width", "fresh", "shrunk", "event_name", "data"}

// rows are fresh ones.
func (c *counting) rows() (rows [][]any) {
	for at, names := range c.hours {
		data := make([][]byte, len(c.all.list))
		for name, list := range names {
			for i, p := range list {
				if p != nil {
					c.buf = p.append(c.buf[:0])
					data[i] = rollup.AppendPart(data[i], name, c.buf)
				}
			}
		}
		for i, b := range data {
			if shrunk := c.shrunk[at][i]; len(b) > 0 || shrunk {
				rows = append(rows, declaredRow(at, c.all.list[i].ID, hour, true, shrunk, "", b))
			}
		}
	}
	return rows
}

func declaredRow(at time.Time, id int64, width time.Duration, fresh, shrunk bool, name string, data []byte) []any {
	var of any
	if name != "" {
		of = name
	}
	if data == nil {
		data = []byte{}
	}
	return []any{at, id, int32(width / time.Second), fresh, shrunk, of, data}
}

// Conditions on events that are about to change; nobody else changes them until the transaction ends.
const (
	declaredFields = `SELECT ts, event_name, sample_rate, properties, metadata`
	selectDeclared = declaredFields + ` FROM events WHERE `
	declaredByID   = selectDeclared + `event_id IN (SELECT unnest($1::text[])) ORDER BY event_id`
	declaredByUser = selectDeclared + `user_id = $1 ORDER BY event_id`
)

// recountDeclared adds events as they are now, n times each.
func (s *Store) recountDeclared(ctx context.Context, ses session, all *declarations, query string, arg any, n int64) error {
	if len(all.list) == 0 {
		return nil
	}
	rows, err := ses.QueryContext(ctx, query+s.d.forUpdate(), arg)
	if err != nil {
		return err
	}
	c := all.counting()
	if err := c.read(rows, n); err != nil {
		return err
	}
	return s.d.load(ctx, ses, "rollup_values", declaredColumns, c.rows())
}

// read adds the events of a query, n times each, and closes it.
func (c *counting) read(rows *sql.Rows, n int64) error {
	defer rows.Close()
	for rows.Next() {
		var e event.Event
		var properties, metadata sql.RawBytes
		if err := rows.Scan(&e.Timestamp, &e.Name, &e.SampleRate, &properties, &metadata); err != nil {
			return err
		}
		e.Properties, e.Metadata = event.Object(properties), event.Object(metadata)
		if err := c.add(&e, n); err != nil {
			return err
		}
	}
	return rows.Err()
}

// forgetDeclared takes events out that are about to be deleted.
func (s *Store) forgetDeclared(ctx context.Context, ses session, query string, arg any) error {
	all, err := s.changingDeclared(ctx, ses)
	if err != nil {
		return err
	}
	return s.recountDeclared(ctx, ses, all, query, arg, -1)
}

// changingDeclared are the declarations that a change of events is to be told. None is added until
// the transaction ends.
func (s *Store) changingDeclared(ctx context.Context, ses session) (*declarations, error) {
	if err := s.d.changing(ctx, ses); err != nil {
		return nil, err
	}
	return s.declarations(ctx, ses)
}

// redescribing makes a change to the metadata of an event.
func (s *Store) redescribing(ctx context.Context, ses session, id string, change func() error) error {
	all, err := s.changingDeclared(ctx, ses)
	if err != nil {
		return err
	}
	if !all.metadata() {
		return change()
	}
	ids := s.d.texts([]string{id})
	if err := s.recountDeclared(ctx, ses, all, declaredByID, ids, -1); err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	return s.recountDeclared(ctx, ses, all, declaredByID, ids, 1)
}
