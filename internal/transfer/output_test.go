package transfer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

func numbered(from, to int) []event.Event {
	var list []event.Event
	for i := from; i < to; i++ {
		list = append(list, event.Event{
			ID: fmt.Sprintf("e%03d", i), Name: "n", Type: event.Custom, Severity: event.Low, SampleRate: 1,
			Timestamp: received.Add(time.Duration(i) * time.Second), ReceivedAt: received,
		})
	}
	return list
}

// TestOutputGoesOnAfterAKill writes a file over three lives: the first is cut off behind what it
// had made safe, the second leaves in order.
func TestOutputGoesOnAfterAKill(t *testing.T) {
	for _, f := range []Format{NDJSON, CSV} {
		path := filepath.Join(t.TempDir(), "events")
		now := received
		clock := func() time.Time { return now }
		create := func() *Output {
			t.Helper()
			o, err := Create(path, f, "all", clock)
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		write := func(o *Output, from, to int) {
			t.Helper()
			if err := o.Write(numbered(from, to)); err != nil {
				t.Fatal(err)
			}
		}
		killed := create()
		now = now.Add(saveOutput)
		write(killed, 0, 10) // safe
		write(killed, 10, 20)
		if err := killed.buf.Flush(); err != nil { // in the file, but not known to be
			t.Fatal(err)
		}
		killed.close() // as its end does

		second := create()
		place, n := second.After()
		if want := numbered(9, 10)[0]; n != 10 || place != (Place{want.Timestamp, want.ID}) {
			t.Fatalf("%s: goes on after %+v, %d events", f, place, n)
		}
		write(second, 10, 15)
		if err := second.Leave(); err != nil {
			t.Fatal(err)
		}
		third := create()
		if _, n := third.After(); n != 15 {
			t.Fatalf("%s: goes on after %d events", f, n)
		}
		write(third, 15, 30)
		if err := third.Finish(); err != nil {
			t.Fatal(err)
		}
		if got, want := idsIn(t, f, path), 30; len(got) != want || !slices.IsSorted(got) || len(slices.Compact(got)) != want {
			t.Errorf("%s: %v", f, got)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(entries) != 1 {
			t.Errorf("%s: %v left beside the file, %v", f, entries, err)
		}
		if _, err := Create(path, f, "all", clock); !errs.Is(err, errs.Conflict) {
			t.Errorf("%s: a finished file was replaced: %v", f, err)
		}
	}
}

func TestOutputOfAnotherSelectionBeginsAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	for i, selects := range []string{"all", "some"} {
		o, err := Create(path, NDJSON, selects, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if _, n := o.After(); n != 0 {
			t.Errorf("%s goes on after %d events", selects, n)
		}
		if err := errors.Join(o.Write(numbered(i, i+1)), o.Leave()); err != nil {
			t.Fatal(err)
		}
	}
	if got := idsIn(t, NDJSON, path+".part"); !slices.Equal(got, []string{"e001"}) {
		t.Errorf("the file holds %v", got)
	}
}

// TestTwoExportsDoNotShareAFile: the second would cut what the first has written.
func TestTwoExportsDoNotShareAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	first, err := Create(path, NDJSON, "all", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path, NDJSON, "some", time.Now); !errs.Is(err, errs.Conflict) {
		t.Errorf("the second: %v", err)
	}
	if err := errors.Join(first.Write(numbered(0, 3)), first.Finish()); err != nil {
		t.Fatal(err)
	}
	if got := idsIn(t, NDJSON, path); len(got) != 3 {
		t.Errorf("the file holds %v", got)
	}
}

func TestProgressBelongsToItsImport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	p, row, err := OpenProgress(path, "a")
	if err != nil || row != 0 {
		t.Fatal(row, err)
	}
	if err := p.Save(7); err != nil {
		t.Fatal(err)
	}
	if _, row, err = OpenProgress(path, "a"); row != 7 || err != nil {
		t.Errorf("row %d, %v", row, err)
	}
	if _, _, err = OpenProgress(path, "b"); !errs.Is(err, errs.Conflict) {
		t.Errorf("another import's state: %v", err)
	}
	if err := errors.Join(p.Finish(), p.Finish()); err != nil {
		t.Error(err)
	}
}

func idsIn(t *testing.T, f Format, path string) (ids []string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := NewReader(f, file)
	if err != nil {
		t.Fatal(err)
	}
	for {
		row, err := r.Next()
		if err != nil {
			return ids
		}
		var e event.Event
		if _, err := decoder().DecodeMoved(row.JSON, &e); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
}
