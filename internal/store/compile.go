package store

import (
	"strconv"
	"strings"

	"github.com/tidemark-obs/tidemark/internal/question"
)

// compiler puts a question's SQL together from constant parts. What the question says goes to the
// arguments, the keys of properties as well; only numbers of our own making are written out.
type compiler struct {
	d    dialect
	args arguments
	json []string          // expressions for the values of properties, each extracted once
	own  []string          // the same for those that have columns of their own
	need int               // how many such columns a row must have for them
	name map[string]string // of a property's column in json, by the property
	// inline writes properties out where they are needed, for statements that read events themselves.
	inline bool
}

func newCompiler(d dialect) *compiler {
	return &compiler{d: d, name: map[string]string{}}
}

// sqlColumns are the columns whose name in the database is another.
var sqlColumns = map[question.Column]string{"timestamp": "ts"}

// column is the expression of a field: a column, or the JSON value of a property.
func (c *compiler) column(f question.Field) string {
	column := string(f.Column)
	if name, ok := sqlColumns[f.Column]; ok {
		column = name
	}
	if len(f.Path) == 0 {
		return column
	}
	if c.inline {
		return "(" + c.d.extract(column, f.Path, &c.args) + ")"
	}
	key := f.String()
	name, ok := c.name[key]
	if !ok {
		name = "j" + strconv.Itoa(len(c.json)+1)
		c.name[key] = name
		c.json = append(c.json, c.d.extract(column, f.Path, &c.args)+" AS "+name)
		if own, place, ok := c.d.ownColumn(f); ok {
			c.own, c.need = append(c.own, own+" AS "+name), max(c.need, place+1)
		}
	}
	return name
}

// from is the rest of a SELECT over the events of a span that meet the conditions. It comes last:
// the properties that the question needs must be known.
func (c *compiler) from(s question.Span, conditions ...string) string {
	source := "events"
	if len(c.json) > 0 {
		source = "(" + c.extracted() + ") AS extracted"
	}
	span := "ts >= " + c.args.bind(micro(s.Start)) + " AND ts < " + c.args.bind(micro(s.End))
	return " FROM " + source + " WHERE " + strings.Join(append([]string{span}, conditions...), " AND ")
}

// extracted are the events with the properties that the question needs: from their own columns where all
// have one and a row has them, so that its JSON is not read.
func (c *compiler) extracted() string {
	sent := "SELECT events.*, " + strings.Join(c.json, ", ") + " FROM events"
	if len(c.own) < len(c.json) {
		return sent
	}
	need := strconv.Itoa(c.need)
	return "SELECT events.*, " + strings.Join(c.own, ", ") + " FROM events WHERE owned >= " + need +
		" UNION ALL " + sent + " WHERE owned < " + need
}

// where are the conditions of a question.
func (c *compiler) where(list []question.Condition) []string {
	conditions := make([]string, len(list))
	for i := range list {
		conditions[i] = c.condition(&list[i])
	}
	return conditions
}

// condition is true or false, never NULL.
func (c *compiler) condition(q *question.Condition) string {
	column, kind := c.column(q.Field), q.Field.Kind()
	test := ""
	switch q.Op {
	case question.Exists:
		test = column + " IS NOT NULL"
		if kind == question.Any {
			test = c.d.jsonExists(column)
		}
		if !q.Value.Bool {
			return "(" + test + ") IS NOT TRUE"
		}
	case question.Contains:
		test = c.contains(column, kind, q.Value.Text)
	case question.In:
		tests := make([]string, len(q.List))
		for i := range q.List {
			tests[i] = c.compare(column, kind, " = ", &q.List[i])
		}
		test = strings.Join(tests, " OR ")
	case question.NotEqual:
		return "(" + c.compare(column, kind, " = ", &q.Value) + ") IS NOT TRUE"
	default:
		test = c.compare(column, kind, comparisons[q.Op], &q.Value)
	}
	return "(" + test + ")"
}

var comparisons = map[question.Op]string{
	question.Equal: " = ", question.Less: " < ", question.LessEqual: " <= ",
	question.Greater: " > ", question.GreaterEqual: " >= ",
}

// byBytes makes texts compare by their bytes on both databases.
const byBytes = ` COLLATE "C"`

func (c *compiler) compare(column string, kind question.Kind, op string, v *question.Value) string {
	property := kind == question.Any
	switch v.Kind {
	case question.Text:
		switch value := c.args.bind(v.Text); {
		case property && op == " = ":
			return c.d.jsonIsText(column, value)
		case property:
			return "(" + c.d.jsonText(column) + ")" + byBytes + op + value
		case op == " = ":
			return column + op + value
		default:
			return column + byBytes + op + value
		}
	case question.Number:
		if property {
			column = c.d.jsonNumber(column)
		}
		return column + op + c.args.bind(v.Number) + "::double precision"
	case question.Bool:
		if property {
			column = c.d.jsonBool(column)
		}
		return column + op + c.args.bind(v.Bool) + "::boolean"
	default:
		return column + op + c.args.bind(micro(v.Time)) + "::timestamptz"
	}
}

func (c *compiler) contains(column string, kind question.Kind, text string) string {
	switch kind {
	case question.Tags:
		before, after := c.d.hasTags()
		tags, err := tagsText([]string{text})
		if err != nil { // a valid text is always JSON
			return "false"
		}
		return before + c.args.bind(tags) + after
	case question.Any:
		column = c.d.jsonText(column)
	}
	return "strpos(" + column + ", " + c.args.bind(text) + ") > 0"
}

// number is the numeric value of a property.
func (c *compiler) number(f question.Field) string { return c.d.jsonNumber(c.column(f)) }

// key is what events are grouped by: ” stands for no value, which no text column holds and no
// JSON value is. Values of properties are JSON texts.
func (c *compiler) key(f question.Field) string {
	column := c.column(f)
	switch f.Kind() {
	case question.Any:
		return "coalesce(" + c.d.jsonScalar(column) + ", '')"
	case question.Text:
		return "coalesce(" + column + ", '')"
	default:
		return column
	}
}

// order lists groups of the same metric by their keys, as question.CompareValues does.
func (c *compiler) order(f question.Field, key string) string {
	switch f.Kind() {
	case question.Any:
		number, text := c.d.scalarOrder(key)
		return number + " NULLS LAST, " + key + " = '', " + key + " IN ('true', 'false'), (" + text + ")" + byBytes
	case question.Text:
		return key + " = '', " + key + byBytes
	default:
		return key
	}
}

// bucket is an expression to group events by, and, of its value b, the bucket's number in the
// calendar.
func (c *compiler) bucket(cal *question.Calendar) (group, number string) {
	offset := func(i int) string { return c.args.bind(cal.Offsets[i].Seconds*1e6) + "::bigint" }
	last := len(cal.Offsets) - 1
	shift := offset(last)
	if last > 0 {
		shift = " ELSE " + shift + " END)"
		for i := last; i > 0; i-- {
			shift = " WHEN ts < " + c.args.bind(micro(cal.Offsets[i].From)) + "::timestamptz THEN " + offset(i-1) + shift
		}
		shift = "(CASE" + shift
	}
	if cal.Interval == question.Month {
		return c.d.month(shift)
	}
	return c.d.bucket(shift, cal.Width())
}
