package transfer

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// desk is an intake that decodes rows and fails when it is told to.
type desk struct {
	mu    sync.Mutex
	fail  func(call int) error
	calls int
	rows  int
	ids   map[string]int
}

func (d *desk) Submit(_ context.Context, rows []Row) ([]Refusal, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	if d.fail != nil {
		if err := d.fail(d.calls); err != nil {
			return nil, err
		}
	}
	if d.ids == nil {
		d.ids = map[string]int{}
	}
	d.rows += len(rows)
	var refused []Refusal
	for _, row := range rows {
		var e event.Event
		if _, err := decoder().DecodeMoved(row.JSON, &e); err != nil {
			refused = append(refused, Refusal{row.Number, ReasonOf(err)})
			continue
		}
		d.ids[e.ID]++
	}
	return refused, nil
}

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"event_id":"e%d","event_name":"n"}`+"\n", i)
	}
	return b.String()
}

func (d *desk) job(text string) *Job {
	return &Job{Reader: newNDJSONReader(strings.NewReader(text)), Intake: d, Now: time.Now, Wait: func(time.Duration) error { return nil }}
}

func TestImportTakesEveryRowOnce(t *testing.T) {
	d := &desk{fail: func(call int) error {
		if call%3 == 0 {
			return errs.New(errs.Overloaded, "full")
		}
		return nil
	}}
	j := d.job(lines(10_000) + "broken\n" + lines(1))
	var last Tally
	j.Progress = func(tl Tally) {
		if tl.Last < last.Last {
			t.Errorf("progress went back from %d to %d", last.Last, tl.Last)
		}
		last = tl
	}
	tally, err := j.Run(t.Context())
	want := Tally{Accepted: 10_001, Rejected: 1, Last: 10_002}
	if err != nil || tally != want || last != want {
		t.Errorf("%+v, %v", tally, err)
	}
	if len(d.ids) != 10_000 || d.ids["e0"] != 2 || d.ids["e9999"] != 1 {
		t.Errorf("%d ids, e0 %d times", len(d.ids), d.ids["e0"])
	}
}

func TestImportGoesOnWhereItWasSaved(t *testing.T) {
	text := lines(25_000)
	broken := errs.New(errs.Internal, "broken")
	first := &desk{fail: func(call int) error {
		if call > 12 {
			return broken
		}
		return nil
	}}
	var saved int64
	j := first.job(text)
	now := time.Time{}
	j.Now = func() time.Time { now = now.Add(saveEvery); return now } // saves at every chunk
	j.Save = func(tl Tally) error { saved = tl.Last; return nil }
	var mu sync.Mutex
	clock := j.Now
	j.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return clock() }
	if _, err := j.Run(t.Context()); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if saved == 0 || saved >= 25_000 {
		t.Fatalf("saved at row %d", saved)
	}
	second := &desk{}
	j = second.job(text)
	j.After = saved
	tally, err := j.Run(t.Context())
	if err != nil || tally.Skipped != saved || tally.Accepted != 25_000-saved {
		t.Errorf("%+v, %v", tally, err)
	}
	for i := range 25_000 {
		id := fmt.Sprintf("e%d", i)
		if first.ids[id]+second.ids[id] == 0 {
			t.Fatalf("%s was lost", id)
		}
	}
}

func TestRowsWithoutIDGetOneThatStays(t *testing.T) {
	text := `{"event":"a"}` + "\n" + `{"event":"a"}` + "\n" + `{ }` + "\n" + `{"event_id":null,"event":"b"}` + "\n" +
		`{"event":"c","properties":{"event_id":"inner"}}` + "\n" + `{"event":"d","event_id":"own"}` + "\n"
	var all []map[string]int
	for range 2 {
		d := &desk{}
		tally, err := d.job(text).Run(t.Context())
		if err != nil || tally.Accepted != 5 || tally.Rejected != 1 {
			t.Fatalf("%+v, %v", tally, err)
		}
		all = append(all, d.ids)
	}
	if len(all[0]) != 5 || all[0]["own"] != 1 || !reflect.DeepEqual(all[0], all[1]) {
		t.Errorf("first %v, then %v", all[0], all[1])
	}
}

func TestStrictImportStops(t *testing.T) {
	d := &desk{}
	j := d.job("broken\n" + lines(100_000))
	j.Strict = true
	var told []Refusal
	j.Refused = func(r Refusal) { told = append(told, r) }
	if _, err := j.Run(t.Context()); !errors.Is(err, ErrStrict) {
		t.Errorf("%v", err)
	}
	if len(told) != 1 || told[0].Row != 1 || len(d.ids) == 100_000 {
		t.Errorf("told %v, %d taken in", told, len(d.ids))
	}
}

// TestAStrictImportMeetsTheSameRowAgain: the state that it leaves lies before the row it stopped at.
func TestAStrictImportMeetsTheSameRowAgain(t *testing.T) {
	text, saved := lines(2_500)+"broken\n"+lines(2_500), int64(0)
	for try := range 2 {
		j := new(desk).job(text)
		j.Strict, j.After = true, saved
		j.Save = func(tl Tally) error { saved = tl.Last; return nil }
		if _, err := j.Run(t.Context()); !errors.Is(err, ErrStrict) || saved != 2_000 {
			t.Errorf("attempt %d: saved up to row %d, %v", try, saved, err)
		}
	}
}

// brokenAt reads rows up to one, and then cannot go on.
type brokenAt struct {
	Reader
	row int64
}

func (b brokenAt) Next() (Row, error) {
	row, err := b.Reader.Next()
	if row.Number == b.row {
		return Row{}, errs.New(errs.Malformed, "damaged")
	}
	return row, err
}

// TestAReaderThatBreaksCostsWhatFollows: the rows before are taken in, to the last.
func TestAReaderThatBreaksCostsWhatFollows(t *testing.T) {
	d := &desk{}
	j := d.job(lines(5_000))
	j.Reader = brokenAt{j.Reader, 2_346}
	var saved int64
	j.Save = func(tl Tally) error { saved = tl.Last; return nil }
	tally, err := j.Run(t.Context())
	if want := (Tally{Accepted: 2_345, Last: 2_345}); tally != want || len(d.ids) != 2_345 || saved != 2_345 {
		t.Errorf("%+v, %d taken in, saved up to %d", tally, len(d.ids), saved)
	}
	if !errs.Is(err, errs.Malformed) || !strings.Contains(err.Error(), "behind row 2345: damaged") {
		t.Errorf("%v", err)
	}
}

// TestRowsThatCannotBeReadAreCounted: the service refuses them like any other; why is told by who read them.
func TestRowsThatCannotBeReadAreCounted(t *testing.T) {
	d := &desk{}
	j := d.job("")
	var err error
	if j.Reader, err = NewReader(CSV, strings.NewReader("event_name,user_id\na\nb,u\nc,u,more\n,u\n")); err != nil {
		t.Fatal(err)
	}
	var told []Refusal
	j.Refused = func(r Refusal) { told = append(told, r) }
	tally, err := j.Run(t.Context())
	const cells = "the row has more or fewer cells than the header"
	want := []Refusal{{2, cells}, {4, cells}, {5, "/event_name is required"}}
	if err != nil || tally.Accepted != 1 || d.rows != 4 || !reflect.DeepEqual(told, want) {
		t.Errorf("%+v of %d rows, told %v, %v", tally, d.rows, told, err)
	}
}

// narrow takes in so many bytes at once and no more.
type narrow struct {
	*desk
	bytes int
}

func (n narrow) Submit(ctx context.Context, rows []Row) ([]Refusal, error) {
	size := 0
	for _, r := range rows {
		size += len(r.JSON)
	}
	if size > n.bytes {
		return nil, errs.New(errs.TooLarge, "too many bytes")
	}
	return n.desk.Submit(ctx, rows)
}

// TestARowThatIsTooLargeCostsOnlyItself has one larger than an event and one larger than a request.
func TestARowThatIsTooLargeCostsOnlyItself(t *testing.T) {
	d := &desk{}
	large := func(n int) string { return `{"event_id":"large","event_name":"` + strings.Repeat("x", n) + "\"}\n" }
	j := d.job(lines(700) + large(600<<10) + lines(1) + large(900<<10) + lines(100))
	j.Intake = narrow{d, 700 << 10}
	var mu sync.Mutex
	told := map[int64]bool{}
	j.Refused = func(r Refusal) { mu.Lock(); defer mu.Unlock(); told[r.Row] = true }
	tally, err := j.Run(t.Context())
	if want := (Tally{Accepted: 801, Rejected: 2, Last: 803}); err != nil || tally != want || len(told) != 2 || !told[701] || !told[703] {
		t.Errorf("%+v, told of rows %v, %v", tally, told, err)
	}
}

func TestImportGivesUp(t *testing.T) {
	d := &desk{fail: func(int) error { return errs.New(errs.Unavailable, "away") }}
	j := d.job(lines(1))
	var waited atomic.Int64 // its clock is read by one goroutine and moved by another
	j.Now = func() time.Time { return time.Time{}.Add(time.Duration(waited.Load())) }
	j.Wait = func(pause time.Duration) error { waited.Add(int64(pause)); return nil }
	var told []error
	j.Waits = func(err error) {
		told = append(told, err)
		if after := time.Duration(waited.Load()); after > 5*time.Second {
			t.Errorf("why it waits is told after %v", after)
		}
	}
	if _, err := j.Run(t.Context()); !errs.Is(err, errs.Unavailable) {
		t.Errorf("%v", err)
	}
	if len(told) != 1 || told[0].Error() != "away" {
		t.Errorf("told that it waits for %v", told)
	}
	if after := time.Duration(waited.Load()); after < patience {
		t.Errorf("gave up after %v", after)
	}
}
