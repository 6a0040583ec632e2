package store

import (
	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// meetsAll reports whether a value (a text, a number, true, false or nil) meets conditions as SQL
// decides it.
func meetsAll(v any, where []question.Condition) bool {
	for i := range where {
		if !where[i].Meets(v) {
			return false
		}
	}
	return true
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
