package question

import (
	"sort"
	"strconv"
	"time"
)

// Span is the half-open range of time a question is about, in a zone.
type Span struct {
	Start, End time.Time
	Zone       *time.Location
}

// Interval is the length of a bucket.
type Interval string

// The intervals. Weeks begin on Monday.
const (
	Minute Interval = "minute"
	Hour   Interval = "hour"
	Day    Interval = "day"
	Week   Interval = "week"
	Month  Interval = "month"
)

// Offset is a zone's distance from UTC, from a moment on.
type Offset struct {
	From    time.Time
	Seconds int64
}

// Calendar divides a span into buckets by local time. Days, weeks and months begin with their
// first local moment, so a day has 23 or 25 hours where clocks change. Minutes and hours are real
// ones, counted by the clock as it stood at the span's start.
//
// A bucket has a number that databases compute without knowing time zones: for months the months
// since year 0; for all others, with the seconds of local time since Monday, 5 January 1970,
// divided by Width and rounded down. Local time is a moment's UTC plus the Offset in force. Numbers
// of days that a zone skipped, to change to the other side of the date line, are no bucket's.
type Calendar struct {
	Interval Interval
	Offsets  []Offset // in order; the first is in force from the start of time
	zone     *time.Location
	first    int64
	last     int64
	skipped  []int64 // in order
}

// monday is when weeks are counted from.
var monday = time.Date(1970, 1, 5, 0, 0, 0, 0, time.UTC)

// Epoch is the moment bucket numbers are counted from, in local time.
func Epoch() time.Time { return monday }

// Width is a bucket's length in local seconds, 0 for months.
func (c *Calendar) Width() int64 {
	return map[Interval]int64{Minute: 60, Hour: 3600, Day: 86400, Week: 7 * 86400}[c.Interval]
}

// NewCalendar divides a span.
func NewCalendar(s Span, i Interval) *Calendar {
	c := &Calendar{Interval: i, zone: s.Zone}
	for at := s.Start; ; {
		local := at.In(s.Zone)
		_, seconds := local.Zone()
		c.Offsets = append(c.Offsets, Offset{From: at.UTC(), Seconds: int64(seconds)})
		_, end := local.ZoneBounds()
		if end.IsZero() || !end.Before(s.End) || i == Minute || i == Hour {
			break
		}
		at = end
	}
	c.first, c.last = c.Number(s.Start), c.Number(s.End.Add(-time.Microsecond))
	for _, o := range c.Offsets[1:] {
		before, after := c.Number(o.From.Add(-time.Microsecond)), c.Number(o.From)
		// Clocks that are set back over midnight leave a bucket that has begun: it may be the last, or not the first.
		c.first, c.last = min(c.first, after), max(c.last, before)
		for n := before + 1; n < after; n++ {
			c.skipped = append(c.skipped, n)
		}
	}
	return c
}

// Buckets is how many the span touches.
func (c *Calendar) Buckets() int { return c.Index(c.last) + 1 }

// Number is that of the bucket a moment of the span lies in.
func (c *Calendar) Number(t time.Time) int64 {
	i := sort.Search(len(c.Offsets), func(i int) bool { return c.Offsets[i].From.After(t) })
	local := t.UTC().Add(time.Duration(c.Offsets[max(0, i-1)].Seconds) * time.Second)
	if c.Interval == Month {
		return int64(local.Year())*12 + int64(local.Month()) - 1
	}
	return floorDiv(local.Unix()-monday.Unix(), c.Width())
}

// Index is the place of a bucket's number among the span's buckets, from 0.
func (c *Calendar) Index(number int64) int {
	i := int(number - c.first)
	for _, n := range c.skipped {
		if n < number {
			i--
		}
	}
	return i
}

// Start is the first moment of the i-th bucket, in the zone; the last bucket ends where one more
// would start.
func (c *Calendar) Start(i int) time.Time {
	n := c.first + int64(i)
	for _, skipped := range c.skipped {
		if skipped <= n {
			n++
		}
	}
	if w := c.Width(); c.Interval == Minute || c.Interval == Hour {
		return time.Unix(monday.Unix()+n*w-c.Offsets[0].Seconds, 0).In(c.zone)
	}
	day := monday.Add(time.Duration(n*c.Width()) * time.Second)
	if c.Interval == Month {
		day = time.Date(int(n/12), time.Month(n%12+1), 1, 0, 0, 0, 0, time.UTC)
	}
	return firstOf(day, c.zone)
}

// firstOf is the first moment of a day in a zone, the day being given as its midnight in UTC.
// Clocks may skip midnight, and may show it twice.
func firstOf(day time.Time, zone *time.Location) time.Time {
	at := day.Add(-26 * time.Hour).In(zone) // no zone is further from UTC
	for {
		_, seconds := at.Zone()
		_, end := at.ZoneBounds()
		midnight := day.Add(-time.Duration(seconds) * time.Second)
		if midnight.Before(at) {
			midnight = at // clocks were put forward over it
		}
		if end.IsZero() || midnight.Before(end) {
			return midnight.In(zone)
		}
		at = end
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Interval reads the length of a bucket; empty text is the default. It must not divide the span
// into more than most buckets.
func (p *Parser) Interval(location, text string, otherwise Interval, most int, s Span) Interval {
	if text == "" {
		text = string(otherwise)
	}
	i := Interval(text)
	switch i {
	case Minute, Hour, Day, Week, Month:
	default:
		p.Fail(location, "must be minute, hour, day, week or month")
		return otherwise
	}
	if len(p.faults) == 0 && NewCalendar(s, i).Buckets() > most {
		p.Fail(location, "would make more than "+strconv.Itoa(most)+" buckets; take a longer one, or a shorter range")
	}
	return i
}
