//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

// filters are what lists are narrowed by, from what most events have to what few have.
var filters = [...]struct{ name, key, value string }{
	{"all", "", ""},
	{"one event_name", "event_name", "order_completed"},
	{"one event_type", "event_type", "api_error"},
	{"severity critical", "severity", "critical"},
	{"processed, of which there are none", "processed", "true"},
	{"a tag that all have", "tags", "shop"},
	{"one user", "user_id", "user-000100"},
	{"a user with few events", "user_id", "user-050000"},
}

// depths are where in the past a list is read, in parts of it.
var depths = [...]struct {
	name     string
	from, to float64
}{{"at the front", 0, 0}, {"in the middle", 0.3, 0.7}, {"at the end", 0.95, 0.99}}

// lists reads pages of 100 events. Deep in the list the place is one that a cursor names: the one
// after a page that was found by its date. Every time it is another place.
func (a *asking) lists(ctx context.Context) error {
	for _, d := range depths {
		for _, f := range filters {
			q := &asked{Name: f.name + ", " + d.name, Kind: listing, Days: daysBack}
			q.request = func(now time.Time) (*http.Request, error) {
				values := url.Values{"limit": {"100"}}
				if f.key != "" {
					values.Set(f.key, f.value)
				}
				if d.to > 0 {
					back := (d.from + (d.to-d.from)*rand.Float64()) * daysBack * 24 * float64(time.Hour)
					cursor, err := a.cursor(ctx, now.Add(-time.Duration(back)))
					if err != nil {
						return nil, err
					}
					values.Set("cursor", cursor)
				}
				return http.NewRequest(http.MethodGet, "http://"+a.service.addr+eventsPath+"?"+values.Encode(), nil)
			}
			a.Lists = append(a.Lists, q)
		}
	}
	return a.during(a.past.Database+": lists", func() error { return a.rounds(ctx, a.Lists, a.plan.Repeats, listsWithin) },
		func() string { return "reading" })
}

// cursor is the place of an event shortly before a time.
func (a *asking) cursor(ctx context.Context, before time.Time) (string, error) {
	values := url.Values{"limit": {"1"}, "end_date": {before.UTC().Format(time.RFC3339Nano)}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.service.addr+eventsPath+"?"+values.Encode(), nil)
	if err != nil {
		return "", err
	}
	answer, err := a.service.client.Do(r)
	if err != nil {
		return "", err
	}
	var page struct {
		Next string `json:"next_cursor"`
	}
	err = json.NewDecoder(answer.Body).Decode(&page)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return "", err
	}
	if page.Next == "" {
		return "", fmt.Errorf("no cursor after %s: %s", before, answer.Status)
	}
	return page.Next, nil
}
