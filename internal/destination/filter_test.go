package destination

import (
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/question/questiontest"
)

// Conditions mean what they mean in questions.
func TestConditionsAreThoseOfQuestions(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	events := []event.Event{
		{ID: "1", Name: "a", Type: event.Custom, Timestamp: at, ReceivedAt: at, SampleRate: 1},
		{ID: "2", Name: "b", Type: event.PageView, Timestamp: at.Add(time.Hour), UserID: "u", Tags: []string{"x", "y"}, SampleRate: 0.5, Processed: true, ProcessedAt: at},
		{ID: "3", Name: "a", Properties: event.Object(`{"n":5,"s":"five","t":true,"null":null,"o":{"p":"q","list":[1]},"a.b":1}`)},
		{ID: "4", Name: "a", Properties: event.Object(`{"n":"5","o":7}`), Metadata: event.Object(`{"s":"x"}`)},
	}
	passed := 0
	for _, field := range []string{"event_name", "event_type", "user_id", "timestamp", "processed_at", "sample_rate", "processed", "tags", "properties.n",
		"properties.s", "properties.t", "properties.null", "properties.o.p", "properties.o", `properties.a\.b`, "metadata.s"} {
		for _, op := range []string{"=", "!=", "<", "<=", ">", ">=", "in", "contains", "exists"} {
			for _, value := range []string{`"a"`, `"x"`, `"five"`, `5`, `0.5`, `true`, `false`, `"2026-01-02T03:04:05Z"`, `[5,"a","q"]`} {
				var p question.Parser
				where := []byte(`[{"field":"` + quoted(field) + `","op":"` + op + `","value":` + value + `}]`)
				conditions := p.Where("", where)
				if p.Err() != nil {
					continue
				}
				f := newFilter(&Filter{Where: where})
				for i := range events {
					got, want := f.passes(&events[i]), questiontest.Match(&events[i], conditions)
					if got != want {
						t.Errorf("%s of event %s: %v, want %v", where, events[i].ID, got, want)
					}
					if got {
						passed++
					}
				}
			}
		}
	}
	if passed < 100 {
		t.Errorf("only %d passed", passed)
	}
}

func quoted(field string) string {
	out := ""
	for _, c := range field {
		if c == '\\' {
			out += `\`
		}
		out += string(c)
	}
	return out
}
