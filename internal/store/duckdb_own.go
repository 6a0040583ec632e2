package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql/driver"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// Columns of their own. To read one property out of the JSON of millions of events takes most of the
// time of a question, so the most frequent ones are stored once more, each in a column.

const (
	// ownColumns is how many there are.
	ownColumns = 6
	// ownText is how long a property's values may be on the average.
	ownText = 24
	// ownKeys is how many properties are counted at most, ownBatch how many events of a batch are
	// looked at, and ownRest how many times as many are stored as were looked at until that
	// begins again.
	ownKeys  = 500
	ownBatch = 500
	ownRest  = 50
)

// owned are the properties that have columns, by column. They are as many as were given one when it was
// read: who knows fewer finds the others in the JSON.
type owned []string

// appended are the columns of events that a writer fills. Every one costs time, so those that no property
// has are left out.
func (o owned) appended() []string {
	columns := append(strings.Split(strings.ReplaceAll(eventColumns, "\n", " "), ", "), "user_mark")
	if len(o) > 0 {
		columns = append(columns, "owned")
	}
	for i := range o {
		columns = append(columns, ownName(i))
	}
	return columns
}

func ownName(place int) string { return "own" + strconv.Itoa(place) }

// read sets a row's values: how many of its own columns count, and these. One value without a plain
// form makes it none.
func (o owned) read(m *members, e *event.Event, values []driver.Value) {
	if len(o) == 0 {
		return
	}
	clear(values)
	if len(e.Properties) == 0 || m.each(e.Properties, func(name, value []byte, plain bool) bool {
		for i, key := range o {
			if string(name) == key {
				if !plain || values[1+i] != nil { // of two of a name the first would count
					return false
				}
				values[1+i] = value
				break
			}
		}
		return true
	}) {
		values[0] = uint8(len(o))
		return
	}
	clear(values)
	values[0] = uint8(0)
}

// own is what questions and the writer know of the columns, and what was seen of properties since
// it was last decided who gets one.
type own struct {
	mu    sync.Mutex
	keys  owned
	known bool // keys have been read

	seen, rest int
	counts     map[string]*ownCount
}

// ownCount is how many events have a property in a plain form and in another, and the bytes of the
// former.
type ownCount struct{ plain, odd, bytes int }

// forget is called where another database may be read from now on.
func (o *own) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keys, o.known, o.seen, o.rest, o.counts = nil, false, 0, 0, nil
}

func (o *own) columns() owned {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.keys
}

const (
	selectOwn = `SELECT key FROM own_columns ORDER BY place`
	insertOwn = `INSERT INTO own_columns (place, key) VALUES ($1, $2)`
)

// acquaint reads which properties have columns, once.
func (d *duck) acquaint(ctx context.Context, q sqlx.QueryerContext) error {
	d.own.mu.Lock()
	defer d.own.mu.Unlock()
	if d.own.known {
		return nil
	}
	var keys owned
	if err := sqlx.SelectContext(ctx, q, &keys, selectOwn); err != nil {
		return err
	}
	d.own.keys, d.own.known = keys, true
	return nil
}

// ownColumn is the column of a property that has one, and its place.
func (d *duck) ownColumn(f question.Field) (name string, place int, ok bool) {
	if f.Column != question.Properties || len(f.Path) != 1 {
		return "", 0, false
	}
	place = slices.Index(d.own.columns(), f.Path[0])
	return ownName(place), place, place >= 0
}

func (d *duck) ownFields() []string {
	var list []string
	for _, key := range d.own.columns() {
		list = append(list, question.Field{Column: question.Properties, Path: []string{key}}.String())
	}
	return list
}

// observe looks at events that were stored. When it has seen enough it gives columns to the
// properties that deserve one.
func (d *duck) observe(ctx context.Context, s *Store, events []event.Event) error {
	fresh := d.own.look(events, d.cfg.FrequentAfter, func(key string) bool { return declaredKey(&d.cfg, key) })
	if len(fresh) == 0 {
		return nil
	}
	var keys owned
	err := s.transact(ctx, "INSERT own_columns", func(ctx context.Context, ses session) error {
		keys = nil
		if err := sqlx.SelectContext(ctx, ses, &keys, selectOwn); err != nil {
			return err
		}
		for _, key := range fresh {
			if len(keys) == ownColumns || slices.Contains(keys, key) {
				continue
			}
			if _, err := ses.ExecContext(ctx, insertOwn, len(keys), key); err != nil {
				return err
			}
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	// Only now: a row must not say that it has columns which a crash takes back.
	d.own.mu.Lock()
	defer d.own.mu.Unlock()
	d.own.keys, d.own.known = keys, true
	return nil
}

// look counts the properties of events. It returns those that should have a column when it has seen
// so many.
func (o *own) look(events []event.Event, enough int, without func(key string) bool) (fresh []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.rest > 0 || len(o.keys) == ownColumns {
		o.rest -= len(events)
		return nil
	}
	if o.counts == nil {
		o.counts = map[string]*ownCount{}
	}
	var m members
	for i := 0; i < len(events); i += 1 + len(events)/ownBatch {
		o.seen++
		m.each(events[i].Properties, o.count)
	}
	if o.seen < enough {
		return nil
	}
	for _, key := range o.frequent() {
		if !without(key) && !slices.Contains(o.keys, key) && len(o.keys)+len(fresh) < ownColumns {
			fresh = append(fresh, key)
		}
	}
	o.seen, o.rest, o.counts = 0, ownRest*enough, nil
	return fresh
}

func (o *own) count(name, value []byte, plain bool) bool {
	n := o.counts[string(name)]
	if n == nil {
		if len(o.counts) == ownKeys {
			return true
		}
		n = &ownCount{}
		o.counts[string(name)] = n
	}
	switch {
	case !plain:
		n.odd++
	case !bytes.Equal(value, []byte("null")):
		n.plain++
		n.bytes += len(value)
	}
	return true
}

// frequent are the properties that a quarter of all events have, mostly in a plain form that is
// short, the most frequent first.
func (o *own) frequent() []string {
	keys := slices.DeleteFunc(slices.Collect(maps.Keys(o.counts)), func(key string) bool {
		n := o.counts[key]
		return 4*n.plain < o.seen || n.odd > n.plain || n.bytes > ownText*n.plain
	})
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(o.counts[b].plain-o.counts[a].plain, cmp.Compare(a, b)) })
	return keys
}

// declaredKey reports whether roll-ups answer for a property.
func declaredKey(cfg *Config, key string) bool {
	is := func(f question.Field) bool {
		return f.Column == question.Properties && len(f.Path) == 1 && f.Path[0] == key
	}
	for _, d := range cfg.Declared.Dimensions() {
		if is(d.Field) {
			return true
		}
	}
	for _, n := range cfg.Declared.Numbers() {
		if is(n.Field) {
			return true
		}
	}
	return false
}
