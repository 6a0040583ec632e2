package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/store/storetest"
)

// owner is a store whose frequent properties get columns after some events.
type owner struct {
	*testing.T
	*store.Store
	cfg store.Config
	c   store.Cursor
	n   int
}

func newOwner(t *testing.T) *owner {
	set, err := declared.New(declared.Config{Dimensions: []declared.DimensionConfig{{Property: "plan"}}}, "s")
	must(t, err)
	o := &owner{T: t, cfg: store.Config{Dir: t.TempDir(), FrequentAfter: 40, Declared: set}, c: store.Cursor{Stream: "s"}}
	o.Store = open(t, o.cfg)
	return o
}

func (o *owner) send(properties ...string) {
	o.Helper()
	start := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	batch := store.Batch{From: o.c, Seq: o.c.Seq + 1}
	for _, p := range properties {
		o.n++
		e := storetest.NewGenerator(1, start).Events(1)[0]
		e.ID, e.UserID, e.Properties = fmt.Sprintf("e%04d", o.n), fmt.Sprint("u", o.n%3), nil
		if p != "" {
			e.Properties = event.Object(p)
		}
		e.Timestamp = start.Add(time.Duration(o.n) * time.Second)
		batch.Events = append(batch.Events, e)
	}
	result, err := o.Commit(o.Context(), &batch)
	must(o.T, err)
	o.c = result.Cursor
}

// rows are the columns of their own of some events.
func (o *owner) rows(where string) (list []string) {
	o.Helper()
	table, err := o.Select(o.Context(), "SELECT owned, own0, own1, own2, own3, own4, own5 FROM events WHERE "+where+" ORDER BY event_id", 1000)
	must(o.T, err)
	for _, r := range table.Rows {
		list = append(list, strings.TrimSuffix(fmt.Sprintln(r...), "\n"))
	}
	return list
}

func (o *owner) breakdown(by string) string {
	o.Helper()
	var p question.Parser
	a, err := o.Breakdown(o.Context(), &question.Breakdown{Metric: p.Metric("", "count"), By: p.Field("", by), Groups: 20,
		Span: question.Span{Start: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Zone: time.UTC}})
	must(o.T, err)
	text := ""
	for _, r := range a.Rows {
		text += fmt.Sprint(r.Value, "=", *r.Metric, " ")
	}
	return text
}

func TestFrequentPropertiesGetColumns(t *testing.T) {
	o := newOwner(t)
	for range 40 {
		o.send(`{"plan":"pro","path":"/a","si.ze":1,"note":"a text of much more than twenty-four characters","deep":{"a":1}}`)
	}
	o.send(`{"rare":1}`)
	if got := o.rows("owned > 0"); len(got) != 1 || got[0] != "2 <nil> <nil> <nil> <nil> <nil> <nil>" {
		t.Errorf("rows with columns: %q", got)
	}
	o.send(`{"si.ze":1.0,"path":"/b"}`, ``, `{"path":"/\u0061"}`, `{"path":"/c","path":"/d"}`, `{"si.ze":[1],"path":"/a"}`, `{"path":null}`)
	want := []string{
		"2 <nil> <nil> <nil> <nil> <nil> <nil>", "2 \"/b\" 1.0 <nil> <nil> <nil> <nil>", "2 <nil> <nil> <nil> <nil> <nil> <nil>",
		"2 null <nil> <nil> <nil> <nil> <nil>",
	}
	if got := o.rows("owned > 0"); !slices.Equal(got, want) {
		t.Errorf("rows with columns: %q, want %q", got, want)
	}
	for range 2 {
		for by, want := range map[string]string{
			"properties.path": "/a=42 <nil>=3 /b=1 /c=1 ", `properties.si\.ze`: "1=41 <nil>=6 ", "properties.rare": "<nil>=46 1=1 ",
		} {
			if got := o.breakdown(by); got != want {
				t.Errorf("by %s: %s, want %s", by, got, want)
			}
		}
		must(t, o.Close()) // what has a column is known after a restart
		o.Store = open(t, o.cfg)
	}
	if z, err := o.Size(t.Context()); err != nil || !slices.Equal(z.Columns, []string{"properties.path", `properties.si\.ze`}) {
		t.Errorf("told of the columns of %q, %v", z.Columns, err)
	}
	o.send(`{"path":"/e"}`)
	if got := o.rows("event_id = 'e0048'"); len(got) != 1 || got[0] != `2 "/e" <nil> <nil> <nil> <nil> <nil>` {
		t.Errorf("after a restart: %q", got)
	}
}

// Columns are few, and what has one keeps it when other properties become frequent.
func TestColumnsAreKept(t *testing.T) {
	o := newOwner(t)
	for range 40 {
		o.send(`{"a":1,"b":2}`)
	}
	for range 2_000/50 + 41 {
		var many []string
		for i := range 50 {
			many = append(many, fmt.Sprintf(`{"b":%d,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8}`, i%2))
		}
		o.send(many...)
	}
	o.send(`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7}`)
	if got := o.rows(fmt.Sprintf("event_id = 'e%04d'", o.n)); len(got) != 1 || got[0] != "6 1 2 3 4 5 6" {
		t.Errorf("columns: %q", got)
	}
	if got, want := o.breakdown("properties.b"), "0=2025 1=2025 2=41 "; got != want {
		t.Errorf("by b: %s, want %s", got, want)
	}
}

// Events from before there were columns of their own, and marks of users, are found beside later ones.
func TestOwnColumnsAreNew(t *testing.T) {
	o := newOwner(t)
	for range 45 {
		o.send(`{"path":"/a"}`)
	}
	_, err := o.MigrateDown(t.Context(), 18)
	must(t, err)
	_, err = o.Migrate(t.Context(), false)
	must(t, err)
	if got := o.rows("owned > 0"); len(got) != 0 {
		t.Errorf("%d rows have columns of a schema that is gone", len(got))
	}
	for range 45 {
		o.send(`{"path":"/b"}`)
	}
	if got := len(o.rows("owned = 1 AND own0 = '\"/b\"'")); got != 5 {
		t.Errorf("%d rows have a column, want 5", got)
	}
	if got, want := o.breakdown("properties.path"), "/a=45 /b=45 "; got != want {
		t.Errorf("by path: %s, want %s", got, want)
	}
	for user, want := range map[string]int{"u0": 30, "u1": 30, "u2": 30, "u3": 0} {
		list, err := o.List(t.Context(), store.Filter{UserID: user}, store.Page{Limit: 100})
		must(t, err)
		if len(list) != want {
			t.Errorf("%s has %d events, want %d", user, len(list), want)
		}
	}
}
