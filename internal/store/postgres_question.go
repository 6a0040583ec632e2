package store

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/tidemark-obs/tidemark/internal/question"
)

// acquaint has nothing to do and ownColumn nothing to offer: no property is kept twice.
func (*postgres) acquaint(context.Context, sqlx.QueryerContext) error { return nil }

func (*postgres) ownColumn(question.Field) (name string, place int, ok bool) { return "", 0, false }

func (*postgres) ownFields() []string { return nil }

// extract goes from key to key. The operator for whole paths would enter arrays by number.
func (*postgres) extract(column string, path []string, args *arguments) string {
	for _, key := range path {
		column += " -> " + args.bind(key) + "::text"
	}
	return "(" + column + ")"
}

func (*postgres) jsonExists(j string) string { return "json_typeof(" + j + ") <> 'null'" }

func (d *postgres) jsonIsText(j, placeholder string) string {
	return "(" + d.jsonText(j) + ") = " + placeholder
}

func (*postgres) jsonText(j string) string { return whenJSON(j, "string", j+" #>> '{}'") }

func (*postgres) jsonNumber(j string) string {
	return whenJSON(j, "number", "("+j+" #>> '{}')::double precision")
}

func (*postgres) jsonBool(j string) string {
	return whenJSON(j, "boolean", "("+j+" #>> '{}')::boolean")
}

// whenJSON is a value computed only where a JSON value has the type: a CASE decides before it
// computes.
func whenJSON(j, kind, then string) string {
	return "CASE json_typeof(" + j + ") WHEN '" + kind + "' THEN " + then + " END"
}

// jsonScalar has one text for each value: 1, 1.0 and 1e0 are the same, as are 0 and -0.
func (*postgres) jsonScalar(j string) string {
	text := "(" + j + " #>> '{}')"
	return "CASE json_typeof(" + j + ") WHEN 'string' THEN to_json(" + text + ")::text WHEN 'boolean' THEN " + text +
		" WHEN 'number' THEN (" + text + "::double precision + 0.0)::text END"
}

func (*postgres) scalarOrder(key string) (number, text string) {
	return "CASE WHEN " + key + " ~ '^[-0-9]' THEN " + key + "::double precision END",
		"CASE WHEN left(" + key + ", 1) = '\"' THEN " + key + "::json #>> '{}' ELSE " + key + " END"
}

// groupsJSON: the type has no equality.
func (*postgres) groupsJSON() bool { return false }

// bucket counts from a Monday before every event.
func (*postgres) bucket(shift string, width int64) (group, number string) {
	w := strconv.FormatInt(width, 10)
	group = "date_bin(" + w + " * interval '1 second', ts + " + shift + " * interval '1 microsecond', '0001-01-01 00:00:00+00'::timestamptz)"
	number = "((extract(epoch FROM b) - " + strconv.FormatInt(question.Epoch().Unix(), 10) + ") / " + w + ")::bigint"
	return group, number
}

func (*postgres) month(shift string) (group, number string) {
	return "date_trunc('month', (ts + " + shift + " * interval '1 microsecond') AT TIME ZONE 'UTC')",
		"(extract(year FROM b) * 12 + extract(month FROM b) - 1)::bigint"
}

// quantile is computed of halves: between a very small and a very large value lies more than a number can be.
// What has no half counts as 0.
func (*postgres) quantile(percent int, x string) string {
	half := "CASE WHEN abs(" + x + ") < 1e-323 THEN 0 ELSE " + x + " / 2 END"
	return "2 * percentile_cont(" + share(percent) + ") WITHIN GROUP (ORDER BY " + half + ")"
}

func (*postgres) microseconds(t string) string {
	return "(extract(epoch FROM " + strings.TrimSpace(t) + ") * 1000000)::bigint"
}

func (*postgres) spread(x string, count int) string {
	return "abs(hashtext(" + x + ")::bigint) % " + strconv.Itoa(count)
}

func (*postgres) collect(x string) string { return "array_agg(" + x + ")" }

func (*postgres) collected(value any, each func(int64)) error { return eachIn(value, each) }

func (*postgres) collectedTexts(value any, each func(string)) error { return eachIn(value, each) }

func eachIn[T any](value any, each func(T)) error {
	var list []T
	if err := pq.Array(&list).Scan(value); err != nil {
		return err
	}
	for _, one := range list {
		each(one)
	}
	return nil
}

func (*postgres) outOfRange(err error) bool {
	var e *pq.Error
	return errors.As(err, &e) && e.Code == "22003" // numeric_value_out_of_range
}

func (*postgres) tooLarge(err error) bool {
	var e *pq.Error
	// out_of_memory, and temp_file_limit, where the server has one
	return errors.As(err, &e) && (e.Code == "53200" || e.Code == "53400")
}
