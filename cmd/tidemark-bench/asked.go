//go:build linux

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// asked is one question and how long its answers took.
type asked struct {
	Name   string        `json:"name"`
	Kind   string        `json:"kind"`
	Days   float64       `json:"days"` // back from now
	Took   quantiles     `json:"took"`
	Failed int           `json:"not_answered"`
	Why    string        `json:"not_answered_because,omitempty"` // the first time
	SQL    time.Duration `json:"as_raw_sql_ns,omitempty"`        // the better of two

	took    []time.Duration
	request requester
	sql     string // with the range as $1 and $2
}

// requester makes the request of a question that is asked now.
type requester func(now time.Time) (*http.Request, error)

// The kinds of questions.
const (
	dashboard = "dashboard"
	adHoc     = "ad hoc"
	journey   = "journey"
	listing   = "list"
)

const (
	eventsPath = "/api/analytics/events"
	// fewest and patience bound a question that takes long: it is asked a few times, and again until
	// its answers have taken so long together; not even a few times when they have taken tooLong.
	fewest   = 3
	patience = 4 * time.Second
	tooLong  = 10 * time.Second
	// unanswered is when nobody waits any more.
	unanswered = time.Minute
)

// once asks once. What nobody would have waited for is not answered; an error says that there is
// nobody to ask.
func (q *asked) once(ctx context.Context, client *http.Client) error {
	within, cancel := context.WithTimeout(ctx, unanswered)
	defer cancel()
	begin := time.Now()
	took, why, err := q.ask(within, client)
	var late interface{ Timeout() bool }
	if ctx.Err() == nil && errors.As(err, &late) && late.Timeout() {
		err, why = nil, fmt.Sprintf("no answer after %v", time.Since(begin).Round(time.Second))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", q.Name, err)
	}
	if why != "" {
		q.fails(why)
		return nil
	}
	q.took = append(q.took, took)
	return nil
}

func (q *asked) fails(why string) {
	q.Failed++
	if q.Why == "" {
		q.Why = why
	}
}

// ask says how long the answer took, or why there is none. It is read to its end, as a page would.
func (q *asked) ask(ctx context.Context, client *http.Client) (took time.Duration, why string, err error) {
	r, err := q.request(time.Now())
	if err != nil {
		return 0, "", err
	}
	begin := time.Now()
	answer, err := client.Do(r.WithContext(ctx))
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return 0, "", err
	}
	took = time.Since(begin)
	if answer.StatusCode != http.StatusOK {
		why = fmt.Sprintf("%s after %v: %s", answer.Status, took.Round(time.Millisecond), bytes.TrimSpace(body))
	}
	return took, why, nil
}

// rounds asks all questions in turn, in another order each time, so that no question finds
// what its own last answer left in memory and nothing else did since. When the time is up, what was
// not asked even once is not answered.
func (a *asking) rounds(ctx context.Context, all []*asked, repeats int, within time.Duration) error {
	defer func() {
		for _, q := range all {
			q.Took = quantilesOf(q.took)
		}
	}()
	began, spent := time.Now(), make(map[*asked]time.Duration, len(all))
	for n := range repeats {
		turn := due(all, spent, n)
		rand.Shuffle(len(turn), func(i, j int) { turn[i], turn[j] = turn[j], turn[i] })
		for _, q := range turn {
			begin := time.Now()
			if begin.Sub(began) > within {
				if n == 0 {
					q.fails("not asked: the time was up")
				}
				continue
			}
			if err := q.once(ctx, a.service.client); err != nil {
				return err
			}
			spent[q] += time.Since(begin)
		}
	}
	return nil
}

// due are the questions to ask in a round, after what the rounds before took.
func due(all []*asked, spent map[*asked]time.Duration, round int) []*asked {
	return slices.DeleteFunc(slices.Clone(all), func(q *asked) bool {
		return round >= fewest && spent[q] > patience || spent[q] > tooLong
	})
}

// questionsPerSecond is what one client asks beside full load.
const questionsPerSecond = 5

// steadily asks questions of a dashboard, one at a time, as long as wanted says.
func (a *asking) steadily(ctx context.Context, into *asked, wanted func() bool) error {
	var all []*asked
	for _, q := range a.Asked {
		if q.Kind == dashboard {
			all = append(all, &asked{Name: q.Name, request: q.request})
		}
	}
	defer func() {
		for _, q := range all {
			into.took = append(into.took, q.took...)
			into.Failed += q.Failed
			into.Why = cmp.Or(into.Why, q.Why)
		}
		into.Took = quantilesOf(into.took)
	}()
	into.Name, into.Kind = "of the dashboard, during full load", dashboard
	for wanted() {
		begin := time.Now()
		q := all[rand.IntN(len(all))]
		if err := q.once(ctx, a.service.client); err != nil {
			return err
		}
		if err := a.service.pause(ctx, time.Second/questionsPerSecond-time.Since(begin)); err != nil {
			return err
		}
	}
	return nil
}

// evenly are the quantiles over questions that were not asked equally often, as if they had been.
func evenly(all []*asked) quantiles {
	type weighed struct {
		took   time.Duration
		weight float64
	}
	var list []weighed
	questions := 0.0
	for _, q := range all {
		for _, took := range q.took {
			list = append(list, weighed{took, 1 / float64(len(q.took))})
		}
		if len(q.took) > 0 {
			questions++
		}
	}
	if len(list) == 0 {
		return quantiles{}
	}
	slices.SortFunc(list, func(a, b weighed) int { return int(a.took - b.took) })
	at := func(q float64) time.Duration {
		passed := 0.0
		for _, w := range list {
			if passed += w.weight; passed > q*questions {
				return w.took
			}
		}
		return list[len(list)-1].took
	}
	return quantiles{N: len(list), P50: at(0.50), P99: at(0.99), P999: at(0.999), Max: list[len(list)-1].took}
}

// get makes a question of GET parameters. Its range ends now, whenever that is.
func (a *asking) get(path string, days float64, parameters ...string) requester {
	return func(now time.Time) (*http.Request, error) {
		values := url.Values{"start_date": {startOf(now, days)}}
		for i := 0; i < len(parameters); i += 2 {
			values.Set(parameters[i], parameters[i+1])
		}
		return http.NewRequest(http.MethodGet, "http://"+a.service.addr+eventsPath+path+"?"+values.Encode(), nil)
	}
}

// post makes a question of a JSON body.
func (a *asking) post(path string, days float64, body map[string]any) requester {
	return func(now time.Time) (*http.Request, error) {
		body["start_date"] = startOf(now, days)
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		r, err := http.NewRequest(http.MethodPost, "http://"+a.service.addr+eventsPath+path, bytes.NewReader(b))
		if err == nil {
			r.Header.Set("Content-Type", "application/json")
		}
		return r, err
	}
}

func startOf(now time.Time, days float64) string {
	return now.Add(-time.Duration(days * 24 * float64(time.Hour))).UTC().Format(time.RFC3339Nano)
}
