package question_test

import (
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/question/questiontest"
)

// TestBucketsFollowTheWallClock compares with walking through time and watching the calendar.
func TestBucketsFollowTheWallClock(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "America/Santiago", "Africa/Cairo", "Asia/Beirut",
		"Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "Atlantic/Azores"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, interval := range []question.Interval{question.Hour, question.Day, question.Week, question.Month} {
			for _, start := range []string{"1970-01-01T00:00:00Z", "2011-12-20T10:30:00Z", "2024-02-28T23:59:59.999999Z", "2024-09-01T00:00:00Z"} {
				from, _ := question.ParseTime(start, time.UTC)
				s := question.Span{Start: from, End: from.AddDate(0, 9, 0), Zone: zone}
				if interval == question.Hour {
					s.End = from.Add(50 * time.Hour)
				}
				compare(t, s, interval)
			}
		}
	}
}

func compare(t *testing.T, s question.Span, i question.Interval) {
	t.Helper()
	c := question.NewCalendar(s, i)
	var starts []time.Time
	for n := range c.Buckets() + 1 {
		starts = append(starts, c.Start(n))
	}
	want := questiontest.Starts(s, i)
	if len(starts) != len(want) {
		t.Errorf("%s %s from %v: %d starts, want %d: %v to %v", s.Zone, i, s.Start, len(starts), len(want), starts[0], want[0])
		return
	}
	for n := range want {
		if !starts[n].Equal(want[n]) || starts[n].Format(time.RFC3339) != want[n].Format(time.RFC3339) {
			t.Errorf("%s %s from %v: bucket %d starts %v, want %v", s.Zone, i, s.Start, n, starts[n], want[n])
			return
		}
	}
	for n := range c.Buckets() {
		at := c.Start(n)
		if at.Before(s.Start) {
			at = s.Start
		}
		if end := c.Start(n + 1); end.After(at) && c.Index(c.Number(at)) != n {
			t.Errorf("%s %s: %v lies in bucket %d, want %d", s.Zone, i, at, c.Index(c.Number(at)), n)
		}
	}
}

// TestEveryMomentHasABucket is about ranges that begin or end where clocks were set back over midnight.
func TestEveryMomentHasABucket(t *testing.T) {
	for name, change := range map[string]string{"America/St_Johns": "2010-11-07T02:31:00Z", "Antarctica/Casey": "2010-03-04T15:00:00Z"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := question.ParseTime(change, time.UTC)
		for _, s := range []question.Span{
			{Start: at.Add(-48 * time.Hour), End: at.Add(10 * time.Minute), Zone: zone},
			{Start: at.Add(-10 * time.Second), End: at.Add(48 * time.Hour), Zone: zone},
			{Start: at.Add(-10 * time.Second), End: at.Add(10 * time.Second), Zone: zone},
		} {
			c := question.NewCalendar(s, question.Day)
			for m := s.Start; m.Before(s.End); m = m.Add(5 * time.Second) {
				if i := c.Index(c.Number(m)); i < 0 || i >= c.Buckets() {
					t.Errorf("%s from %v to %v: %v lies in bucket %d of %d", name, s.Start, s.End, m, i, c.Buckets())
					break
				}
			}
		}
	}
}

func TestDaysOfOddLength(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for day, hours := range map[string]float64{"2025-03-30": 23, "2025-10-26": 25, "2025-06-01": 24} {
		from, _ := question.ParseTime(day, zone)
		c := question.NewCalendar(question.Span{Start: from, End: from.Add(time.Hour), Zone: zone}, question.Day)
		if got := c.Start(1).Sub(c.Start(0)).Hours(); got != hours {
			t.Errorf("%s has %v hours, want %v", day, got, hours)
		}
	}
}
