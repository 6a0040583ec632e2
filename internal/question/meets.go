package question

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Meets reports whether a value (a text, a float64, true, false, a time, the tags or nil, which is
// none) meets the condition, as a database decides it of the field.
func (c *Condition) Meets(v any) bool {
	switch c.Op {
	case Exists:
		return (v != nil) == c.Value.Bool
	case Contains:
		if tags, ok := v.([]string); ok {
			return slices.Contains(tags, c.Value.Text)
		}
		text, ok := v.(string)
		return ok && strings.Contains(text, c.Value.Text)
	case In:
		return slices.ContainsFunc(c.List, func(w Value) bool { order, same := w.compare(v); return same && order == 0 })
	}
	order, same := c.Value.compare(v)
	switch c.Op {
	case Equal:
		return same && order == 0
	case NotEqual:
		return !same || order != 0
	case Less:
		return same && order < 0
	case LessEqual:
		return same && order <= 0
	case Greater:
		return same && order > 0
	default:
		return same && order >= 0
	}
}

// compare is how another value compares with this one; same is false where they are of two kinds.
func (w *Value) compare(v any) (order int, same bool) {
	switch v := v.(type) {
	case string:
		return strings.Compare(v, w.Text), w.Kind == Text
	case float64:
		return cmp.Compare(v, w.Number), w.Kind == Number
	case bool:
		if v != w.Bool {
			order = 1
		}
		return order, w.Kind == Bool
	case time.Time:
		return v.Compare(w.Time), w.Kind == Time
	}
	return 0, false
}
