package store

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/tidemark-obs/tidemark/internal/question"
)

// extract is the JSON text of a property, NULL where there is none. Paths are JSON Pointers: in
// DuckDB's other notation a * means every key, even in quotes. Below the first key a pointer's
// number would also enter an array; a quoted key does not.
func (*duck) extract(column string, path []string, args *arguments) string {
	expression, pointer := column, ""
	flush := func() {
		if pointer != "" {
			expression = "json_extract(" + expression + ", " + args.bind(pointer) + "::varchar)"
			pointer = ""
		}
	}
	for i, key := range path {
		if _, err := strconv.ParseUint(key, 10, 64); err == nil && i > 0 {
			flush()
			expression = "json_extract(" + expression + ", " + args.bind(`$."`+key+`"`) + "::varchar)"
			continue
		}
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
	}
	flush()
	return expression + "::varchar"
}

func (*duck) jsonExists(j string) string { return j + " <> 'null'" }

// jsonIsText compares with the text as DuckDB itself would write it in JSON, which spares reading
// every value.
func (*duck) jsonIsText(j, placeholder string) string {
	return j + " = to_json(" + placeholder + "::varchar)::varchar"
}

func (*duck) jsonText(j string) string {
	return "CASE WHEN starts_with(" + j + ", '\"') THEN json_extract_string(" + j + ", '$') END"
}

// jsonNumber relies on a text's quotes: nothing in quotes is a number.
func (*duck) jsonNumber(j string) string { return "TRY_CAST(" + j + " AS DOUBLE)" }

func (*duck) jsonBool(j string) string {
	return "CASE " + j + " WHEN 'true' THEN true WHEN 'false' THEN false END"
}

// jsonScalar has one text for each value: 1, 1.0 and 1e0 are the same, as are 0 and -0. Most values
// are texts: one comparison finds those that begin with a quote, and nothing else is computed.
func (*duck) jsonScalar(j string) string {
	number := "TRY_CAST(" + j + " AS DOUBLE)"
	return "CASE WHEN " + j + " >= '\"' AND " + j + " < '#' THEN " + j + " WHEN " + j + " IN ('true', 'false') THEN " + j +
		" WHEN " + number + " = 0 THEN '0' ELSE " + number + "::varchar END"
}

func (*duck) scalarOrder(key string) (number, text string) {
	return "TRY_CAST(" + key + " AS DOUBLE)",
		"CASE WHEN starts_with(" + key + ", '\"') THEN json_extract_string(" + key + ", '$') ELSE " + key + " END"
}

func (*duck) groupsJSON() bool { return true }

// bucket counts from long before every event, since // rounds towards zero.
func (*duck) bucket(shift string, width int64) (group, number string) {
	const before = 10_000 * 7 * 86400 // weeks, so that it divides by every width
	from := strconv.FormatInt((before-question.Epoch().Unix())*1e6, 10)
	return "(epoch_us(ts) + " + shift + " + " + from + ") // " + strconv.FormatInt(width*1e6, 10),
		"b - " + strconv.FormatInt(before/width, 10)
}

func (*duck) month(shift string) (group, number string) {
	local := "make_timestamp(epoch_us(ts) + " + shift + ")"
	return "year(" + local + ") * 12 + month(" + local + ") - 1", "b"
}

func (*duck) quantile(percent int, x string) string {
	return "quantile_cont(" + x + ", " + share(percent) + ")"
}

func (*duck) microseconds(t string) string { return "epoch_us(" + t + ")" }

// share is a percentage as a number, such as 0.95.
func share(percent int) string { return strconv.FormatFloat(float64(percent)/100, 'f', 2, 64) }

func (*duck) spread(x string, count int) string { return "hash(" + x + ") % " + strconv.Itoa(count) }

func (*duck) collect(x string) string { return "list(" + x + ")" }

func (*duck) collected(value any, each func(int64)) error { return eachOf(value, each) }

func (*duck) collectedTexts(value any, each func(string)) error { return eachOf(value, each) }

func eachOf[T any](value any, each func(T)) error {
	list, ok := value.([]any)
	if !ok {
		return fmt.Errorf("a list came as %T", value)
	}
	for _, v := range list {
		one, ok := v.(T)
		if !ok {
			return fmt.Errorf("a member of a list came as %T", v)
		}
		each(one)
	}
	return nil
}

// outOfRange: such a number is infinite here, and none in an answer.
func (*duck) outOfRange(error) bool { return false }

func (*duck) tooLarge(err error) bool {
	var e *duckdb.Error
	return errors.As(err, &e) && e.Type == duckdb.ErrorTypeOutOfMemory
}
