package store

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// meetsAll reports whether a value (a text, a number, true, false or nil) meets conditions as SQL
// decides it.
func meetsAll(v any, where []question.Condition) bool {
	for i := range where {
		if !meets(v, &where[i]) {
			return false
		}
	}
	return true
}

func meets(v any, c *question.Condition) bool {
	switch c.Op {
	case question.Exists:
		return (v != nil) == c.Value.Bool
	case question.Contains:
		text, ok := v.(string)
		return ok && strings.Contains(text, c.Value.Text)
	case question.In:
		return slices.ContainsFunc(c.List, func(w question.Value) bool { order, same := compareTo(v, &w); return same && order == 0 })
	}
	order, same := compareTo(v, &c.Value)
	switch c.Op {
	case question.Equal:
		return same && order == 0
	case question.NotEqual:
		return !same || order != 0
	case question.Less:
		return same && order < 0
	case question.LessEqual:
		return same && order <= 0
	case question.Greater:
		return same && order > 0
	default:
		return same && order >= 0
	}
}

// compareTo is false where the values are of two kinds.
func compareTo(v any, w *question.Value) (order int, same bool) {
	switch v := v.(type) {
	case string:
		return strings.Compare(v, w.Text), w.Kind == question.Text
	case float64:
		return cmp.Compare(v, w.Number), w.Kind == question.Number
	case bool:
		if v != w.Bool {
			order = 1
		}
		return order, w.Kind == question.Bool
	}
	return 0, false
}

// selection is which values conditions on a dimension let through.
type selection struct {
	where []question.Condition
	kind  selectionKind
	// named are the values that the conditions name, of listed and excluding.
	named map[declared.Value]bool
	met   map[declared.Value]bool
}

type selectionKind uint8

// What is known of values that are not counted apart: that all are let through, only those that are
// named, all but those that are named, or nothing.
const (
	everything selectionKind = iota
	listed
	excluding
	unknown
)

func newSelection(where []question.Condition) *selection {
	s := &selection{where: where, named: map[declared.Value]bool{}, met: map[declared.Value]bool{}}
	name := func(list ...question.Value) {
		for _, w := range list {
			s.named[valueOf(&w)] = true
		}
	}
	for _, c := range where {
		switch c.Op {
		case question.Equal:
			s.kind = listed
			name(c.Value)
		case question.In:
			s.kind = listed
			name(c.List...)
		case question.NotEqual:
			if s.kind == everything {
				s.kind = excluding
			}
			name(c.Value)
		default:
			if s.kind != listed {
				s.kind = unknown
			}
		}
	}
	return s
}

func valueOf(w *question.Value) declared.Value {
	switch w.Kind {
	case question.Text:
		return declared.Of(w.Text)
	case question.Number:
		return declared.Of(w.Number)
	default:
		return declared.Of(w.Bool)
	}
}

// lets reports whether a value is let through.
func (s *selection) lets(v declared.Value) bool {
	met, known := s.met[v]
	if !known {
		met = meetsAll(v.Any(), s.where)
		s.met[v] = met
	}
	return met
}
