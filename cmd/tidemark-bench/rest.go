//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// backlog is how far a service says that its roll-ups are behind.
type backlog struct {
	Rows         int `json:"untidy_rows"`
	Days         int `json:"missing_buckets"`
	Declarations int `json:"missing_declarations"`
}

func (b backlog) String() string {
	return fmt.Sprintf("%d rows, %d days and %d declarations of roll-ups are left to do", b.Rows, b.Days, b.Declarations)
}

// resting is how a service with a past came to rest.
type resting struct {
	Reached bool          `json:"reached"`
	Took    time.Duration `json:"took_ns"`
	Left    backlog       `json:"left"`
}

func (r resting) String() string {
	switch {
	case r.Took == 0:
		return "-"
	case r.Reached:
		return fmt.Sprintf("%.0f s", r.Took.Seconds())
	default:
		return fmt.Sprintf("not within %.0f s: %v", r.Took.Seconds(), r.Left)
	}
}

const (
	// lookEvery is longer than the service waits between two looks at its roll-ups: what it says
	// after that is about now.
	lookEvery = 15 * time.Second
	// fewRows do not slow a question.
	fewRows = 1_000
)

// over decides whether the waiting is over, so long after it began.
func (r *resting) over(after, limit time.Duration, left backlog) bool {
	r.Took, r.Left = after, left
	r.Reached = after >= lookEvery && left.Days == 0 && left.Declarations == 0 && left.Rows <= fewRows
	return r.Reached || after >= limit
}

// rest waits until the background has put roll-ups together, as it would have over the 90 days.
func (a *asking) rest(ctx context.Context) error {
	begin := time.Now()
	return a.during(a.past.Database+": waiting until roll-ups are put together", func() error {
		for {
			if err := a.service.pause(ctx, time.Second); err != nil {
				return err
			}
			left, err := a.service.backlog(ctx)
			if err != nil {
				return err
			}
			if a.Rest.over(time.Since(begin), a.plan.Rest, left) {
				a.say("%s: at rest after: %v", a.past.Database, a.Rest)
				return nil
			}
		}
	}, func() string {
		left, err := a.service.backlog(ctx)
		if err != nil {
			return err.Error()
		}
		return left.String()
	})
}

// backlog reads it from the service's metrics.
func (s *service) backlog(ctx context.Context) (b backlog, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+"/metrics", nil)
	if err != nil {
		return b, err
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	return readBacklog(answer.Body)
}

func readBacklog(metrics io.Reader) (b backlog, err error) {
	into := map[string]*int{
		"tidemark_rollup_untidy_rows":          &b.Rows,
		"tidemark_rollup_missing_buckets":      &b.Days,
		"tidemark_rollup_missing_declarations": &b.Declarations,
	}
	found := map[string]bool{}
	lines := bufio.NewScanner(metrics)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		series, value, _ := strings.Cut(lines.Text(), " ")
		name, _, _ := strings.Cut(series, "{")
		if into[name] == nil {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return b, fmt.Errorf("%s: %w", series, err)
		}
		*into[name] += int(n)
		found[name] = true
	}
	if err := lines.Err(); err != nil {
		return b, err
	}
	if len(found) < len(into) {
		return b, errors.New("the service's metrics do not say how far its roll-ups are behind")
	}
	return b, nil
}
