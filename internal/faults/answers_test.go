//go:build linux

package faults

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/question/questiontest"
)

// asked are questions by their parameters; each is asked over several ranges of time.
var asked = []string{
	"timeseries?interval=hour", "timeseries?interval=day&tz=Europe/Berlin", "timeseries?interval=month&group_by=event_name",
	"timeseries?interval=day&metric=users", "timeseries?interval=day&metric=users&group_by=event_name&limit=100",
	"timeseries?interval=hour&metric=sessions", "timeseries?interval=day&group_by=severity",
	"timeseries?interval=day&metric=sum:amount&group_by=properties.plan", "timeseries?interval=day&metric=p90:amount",
	`timeseries?interval=day&where=[{"field":"event_name","op":"=","value":"pay"}]`,
	"breakdown?by=event_name", "breakdown?by=event_type", "breakdown?by=severity", "breakdown?by=source", "breakdown?by=processed",
	"breakdown?by=properties.plan", "breakdown?by=event_name&metric=users", "breakdown?by=event_name&metric=avg:amount",
	"breakdown?by=user_id&limit=5", `breakdown?by=properties.plan&where=[{"field":"event_name","op":"=","value":"view"}]`,
}

// compareAnswers asks a service and recomputes each answer.
func compareAnswers(t *testing.T, s *service, events []event.Event, now time.Time) {
	t.Helper()
	for _, span := range []question.Span{
		{Start: now.AddDate(0, 0, -90), End: now.AddDate(0, 0, 1)},
		{Start: now.Add(-72 * time.Hour).Truncate(24 * time.Hour), End: now.Truncate(time.Hour)},
		{Start: now.Add(-50*time.Hour + 17*time.Minute), End: now.Add(-3*time.Hour - 13*time.Minute)},
	} {
		for _, what := range asked {
			compareAnswer(t, s, what, span, events)
		}
		compareStats(t, s, span, events)
	}
}

func compareAnswer(t *testing.T, s *service, what string, span question.Span, events []event.Event) {
	t.Helper()
	path, raw, _ := strings.Cut(what, "?")
	values, err := url.ParseQuery(raw)
	if err != nil {
		t.Fatal(err)
	}
	var p question.Parser
	if span.Zone, err = time.LoadLocation(values.Get("tz")); err != nil {
		t.Fatal(err)
	}
	where, metric := p.Where("where", []byte(values.Get("where"))), p.Metric("metric", values.Get("metric"))
	limit := 10
	if n := values.Get("limit"); n != "" {
		_, err = fmt.Sscan(n, &limit)
	}
	var want any
	if path == "breakdown" {
		want = questiontest.Breakdown(&question.Breakdown{Span: span, Where: where, Metric: metric, By: p.Grouping("by", values.Get("by")), Groups: limit}, events)
	} else {
		want = questiontest.Series(&question.Series{
			Span: span, Where: where, Metric: metric, Interval: question.Interval(values.Get("interval")),
			GroupBy: p.Grouping("group_by", values.Get("group_by")), Groups: limit,
		}, events)
	}
	if p.Err() != nil || err != nil {
		t.Fatal(p.Err(), err)
	}
	values.Set("start_date", span.Start.Format(time.RFC3339))
	values.Set("end_date", span.End.Format(time.RFC3339))
	status, body, err := s.get("/api/analytics/events/" + path + "?" + values.Encode())
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %s %v", what, status, body, err)
	}
	var quality question.Quality
	if err := json.Unmarshal(body, &quality); err != nil {
		t.Fatal(err)
	}
	if d := differ(plain(t, body), plain(t, encode(want)), quality.ErrorBound); d != "" {
		t.Errorf("%s from %v to %v: %s\nanswered %.2000s\nwant %.2000s", what, span.Start, span.End, d, body, encode(want))
	}
}

// plain is an answer without what depends on when and how it was computed, its groups in the order
// of their names: those of the same size may come in any.
func plain(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	kept := map[string]any{}
	for _, key := range []string{"metric", "rows", "other", "series"} {
		kept[key] = answer[key]
	}
	for _, key := range []string{"rows", "series"} {
		list, _ := kept[key].([]any)
		name := func(v any) string {
			m := v.(map[string]any)
			return fmt.Sprint(m["group"], m["value"])
		}
		slices.SortFunc(list, func(a, b any) int { return cmp.Compare(name(a), name(b)) })
		for _, v := range list {
			delete(v.(map[string]any), "error_bound")
			points, _ := v.(map[string]any)["points"].([]any)
			for _, point := range points {
				delete(point.(map[string]any), "complete")
				delete(point.(map[string]any), "error_bound")
			}
		}
	}
	return kept
}

// differ says where two answers differ by more than the bound, and than what adding in another
// order may.
func differ(got, want any, bound float64) string {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok || len(got) != len(want) {
			return fmt.Sprintf("%v instead of %v", got, want)
		}
		for key := range want {
			if d := differ(got[key], want[key], bound); d != "" {
				return key + ": " + d
			}
		}
		return ""
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			return fmt.Sprintf("%d elements instead of %d", len(got), len(want))
		}
		for i := range want {
			if d := differ(got[i], want[i], bound); d != "" {
				return fmt.Sprintf("[%d] %s", i, d)
			}
		}
		return ""
	case float64:
		n, ok := got.(float64)
		if ok && math.Abs(n-want) <= max(1e-9, bound)*math.Abs(want)+1e-9 {
			return ""
		}
	default:
		if reflect.DeepEqual(got, want) {
			return ""
		}
	}
	return fmt.Sprintf("%v instead of %v", got, want)
}

// compareStats recomputes GET /events/stats.
func compareStats(t *testing.T, s *service, span question.Span, events []event.Event) {
	t.Helper()
	var got struct {
		Total     int            `json:"total_events"`
		Types     map[string]int `json:"events_by_type"`
		Severity  map[string]int `json:"events_by_severity"`
		Processed int            `json:"processed_events"`
		Users     int            `json:"unique_users"`
		TopEvents []struct {
			Name  string `json:"event_name"`
			Count int    `json:"count"`
		} `json:"top_events"`
		TopUsers []struct {
			ID    string `json:"user_id"`
			Count int    `json:"count"`
		} `json:"top_users"`
	}
	path := "/api/analytics/events/stats?start_date=" + span.Start.Format(time.RFC3339) + "&end_date=" + span.End.Format(time.RFC3339)
	if err := s.ask(path, &got); err != nil {
		t.Fatal(err)
	}
	total, processed, types, severities := 0, 0, map[string]int{}, map[string]int{}
	names, users := map[string]int{}, map[string]int{}
	for _, e := range questiontest.Select(events, span, nil) {
		total++
		types[string(e.Type)]++
		severities[string(e.Severity)]++
		names[e.Name]++
		if e.Processed {
			processed++
		}
		if e.UserID != "" {
			users[e.UserID]++
		}
	}
	if got.Total != total || got.Processed != processed || got.Users != len(users) ||
		!reflect.DeepEqual(got.Types, types) || !reflect.DeepEqual(got.Severity, severities) {
		t.Errorf("stats from %v to %v are %+v; want %d events, %d processed, %d users, %v, %v", span.Start, span.End, got, total, processed, len(users), types, severities)
	}
	for _, e := range got.TopEvents {
		if names[e.Name] != e.Count {
			t.Errorf("the event %q is counted %d times, want %d", e.Name, e.Count, names[e.Name])
		}
	}
	for _, u := range got.TopUsers {
		if users[u.ID] != u.Count {
			t.Errorf("the user %q is counted %d times, want %d", u.ID, u.Count, users[u.ID])
		}
	}
	if len(got.TopEvents) != min(10, len(names)) || len(got.TopUsers) != min(10, len(users)) {
		t.Errorf("%d top events of %d and %d top users of %d", len(got.TopEvents), len(names), len(got.TopUsers), len(users))
	}
}
