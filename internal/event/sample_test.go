package event

import (
	"fmt"
	"math"
	"testing"
)

// TestSampleIsStable pins the decision: it must be the same in every version for ever, or
// persons would come and go in the statistics with an upgrade.
func TestSampleIsStable(t *testing.T) {
	for key, want := range map[string]float64{
		"":                                     0.93676944839043996,
		"user-1":                               0.25639323279621351,
		"user-2":                               0.66388970896003863,
		"0198c0de-7a5b-7c3d-8e4f-0123456789ab": 0.33431421359575053,
	} {
		if got := place(key); got != want {
			t.Errorf("place(%q) = %v, want %v", key, got, want)
		}
	}
}

func TestSampleFollowsThePerson(t *testing.T) {
	ids := []struct {
		name       string
		set, other func(e *Event, id string)
	}{
		{"user", func(e *Event, id string) { e.UserID = id }, func(e *Event, id string) { e.AnonymousID, e.SessionID, e.ID = id, id, id }},
		{"anonymous", func(e *Event, id string) { e.AnonymousID = id }, func(e *Event, id string) { e.SessionID, e.ID = id, id }},
		{"session", func(e *Event, id string) { e.SessionID = id }, func(e *Event, id string) { e.ID = id }},
		{"event", func(e *Event, id string) { e.ID = id }, func(*Event, string) {}},
	}
	for _, id := range ids {
		t.Run(id.name, func(t *testing.T) {
			kept := 0
			for i := range 1000 {
				first := Event{SampleRate: 1}
				id.set(&first, fmt.Sprint("person-", i))
				want := Sample(&first, 0.5)
				if want {
					kept++
				}
				for j := range 5 {
					e := Event{SampleRate: 1}
					id.set(&e, fmt.Sprint("person-", i))
					id.other(&e, fmt.Sprint("other-", i, "-", j))
					if Sample(&e, 0.5) != want {
						t.Fatalf("person %d is neither in nor out", i)
					}
				}
			}
			if kept < 400 || kept > 600 {
				t.Errorf("kept %d of 1000", kept)
			}
		})
	}
}

func TestSampleIsUniform(t *testing.T) {
	const n, cells = 200_000, 100
	for _, format := range []string{"%d", "user-%d", "%08x", "a%db", "u%012d@example.com"} {
		var count [cells]float64
		for i := range n {
			count[int(place(fmt.Sprintf(format, i))*cells)]++
		}
		chi := 0.0
		for _, c := range count {
			chi += (c - n/cells) * (c - n/cells) / (n / cells)
		}
		// 99 degrees of freedom: 148 is passed once in a thousand, and the input is fixed.
		if chi > 148 {
			t.Errorf("ids like %q: chi square %.0f over %d cells", format, chi, cells)
		}
	}
}

func TestSampleIsMonotone(t *testing.T) {
	for i := range 10_000 {
		was := false
		for _, rate := range []float64{0, 0.0001, 0.01, 0.1, 0.25, 0.5, 0.9, 0.999, 1} {
			e := Event{UserID: fmt.Sprint(i), SampleRate: 1}
			is := Sample(&e, rate)
			if was && !is {
				t.Fatalf("person %d is in at a lower rate than %v, and out there", i, rate)
			}
			was = is
		}
		if !was {
			t.Fatalf("person %d is out at rate 1", i)
		}
	}
}

func TestSampleStoresTheProduct(t *testing.T) {
	kept := 0
	for i := range 1000 {
		e := Event{UserID: fmt.Sprint(i), SampleRate: 0.5}
		if !Sample(&e, 0.25) {
			if e.SampleRate != 0.5 {
				t.Fatal("an event left out was changed")
			}
			continue
		}
		kept++
		if e.SampleRate != 0.125 {
			t.Fatalf("sample rate %v", e.SampleRate)
		}
	}
	if kept == 0 {
		t.Error("nothing was kept")
	}
	e := Event{UserID: "u", SampleRate: 0.5}
	if !Sample(&e, 1) || e.SampleRate != 0.5 {
		t.Errorf("rate 1 left the event out or changed its rate to %v", e.SampleRate)
	}
	e.SampleRate = leastRate
	if Sample(&e, 0.9); math.IsInf(1/e.SampleRate, 0) || e.SampleRate <= 0 {
		t.Errorf("sample rate %v", e.SampleRate)
	}
	for _, rate := range []float64{0, -1, math.NaN()} {
		if Sample(&e, rate) {
			t.Errorf("rate %v kept an event", rate)
		}
	}
}
