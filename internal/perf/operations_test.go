package perf

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func operations(t testing.TB, c Config) *Operations {
	t.Helper()
	c.Logger = quiet()
	o, err := NewOperations(c)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// clock is a hand-moved clock.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func near(got *float64, want, relative float64) bool {
	return got != nil && math.Abs(*got-want) <= relative*want+1e-6
}

// TestPercentilesAreWithinOnePercent records values of several shapes over a whole window of
// slices, so that most of them go through packing and merging.
func TestPercentilesAreWithinOnePercent(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() float64{ // milliseconds
		"log-normal":  func() float64 { return math.Exp(rng.NormFloat64()*1.5 + 2) },
		"exponential": func() float64 { return rng.ExpFloat64() * 40 },
		"uniform":     func() float64 { return 1 + rng.Float64()*999 },
		"two humps":   func() float64 { return []float64{0.05, 8000}[rng.IntN(2)] * (1 + rng.Float64()/10) },
		"constant":    func() float64 { return 12.5 },
		"extremes":    func() float64 { return math.Exp(rng.Float64()*38 - 14) }, // ns to centuries
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{1, 2, 10, 20_000} {
				c := &clock{at: time.Unix(0, 0)}
				o := operations(t, Config{Now: c.now})
				var exact []float64
				var sum float64
				failed := 0
				for i := range n {
					d := time.Duration(draw() * float64(time.Millisecond))
					exact = append(exact, float64(d)/1e6)
					sum += float64(d) / 1e6
					fail := i%7 == 0
					if fail {
						failed++
					}
					o.Record("GET /x", d, fail)
					if i%(n/14+1) == n/14 {
						c.move(time.Minute)
					}
				}
				slices.Sort(exact)
				at := func(q float64) float64 { return exact[int(q*float64(n-1))] }
				s, ok := o.Operation("GET /x")
				if !ok || s.Count != uint64(n) || s.ErrorCount != uint64(failed) {
					t.Fatalf("n=%d: %+v", n, s)
				}
				for what, ok := range map[string]bool{
					"avg": near(s.AvgMS, sum/float64(n), 1e-9),
					"min": near(s.MinMS, exact[0], 1e-9),
					"max": near(s.MaxMS, exact[n-1], 1e-9),
					"p50": near(s.P50MS, at(0.50), 0.01),
					"p90": near(s.P90MS, at(0.90), 0.01),
					"p95": near(s.P95MS, at(0.95), 0.01),
					"p99": near(s.P99MS, at(0.99), 0.01),
				} {
					if !ok {
						t.Errorf("n=%d: %s is off", n, what)
					}
				}
			}
		})
	}
}

func TestTheWindowSlides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := operations(t, Config{})
		for minute := range 30 { // one value a minute: the minute's number
			o.Record("op", time.Duration(minute+1)*time.Millisecond, false)
			s, _ := o.Operation("op")
			oldest := max(0, minute-14)
			if want := minute - oldest + 1; s.Count != uint64(want) || *s.MinMS != float64(oldest+1) || *s.MaxMS != float64(minute+1) {
				t.Fatalf("minute %d: count %d min %v max %v, want %d from %d", minute, s.Count, *s.MinMS, *s.MaxMS, want, oldest+1)
			}
			time.Sleep(time.Minute)
		}
		time.Sleep(12 * time.Minute)
		if s, _ := o.Operation("op"); s.Count != 2 || *s.MinMS != 29 {
			t.Errorf("after a pause: %+v", s)
		}
		time.Sleep(time.Hour)
		s, ok := o.Operation("op")
		if !ok || s.Count != 0 {
			t.Errorf("after an hour: %+v, %v", s, ok)
		}
		o.Record("op", 5*time.Millisecond, true)
		if s, _ := o.Operation("op"); s.Count != 1 || *s.P99MS != 5 || s.ErrorCount != 1 {
			t.Errorf("after the pause: %+v", s)
		}
		if o.Total() != 31 {
			t.Errorf("total %d, want 31", o.Total())
		}
	})
}

func TestAClockThatStepsBackLosesNothing(t *testing.T) {
	c := &clock{at: time.Unix(1e9, 0)}
	o := operations(t, Config{Now: c.now})
	o.Record("op", time.Millisecond, false)
	c.move(5 * time.Minute)
	o.Record("op", time.Millisecond, false)
	c.move(-time.Hour)
	o.Record("op", -time.Millisecond, false) // such a clock measures this
	if s, _ := o.Operation("op"); s.Count != 3 || *s.MinMS != 0 {
		t.Errorf("%+v", s)
	}
}

func TestOneSliceIsAWindowToo(t *testing.T) {
	c := &clock{at: time.Unix(1e9, 0)}
	o := operations(t, Config{Now: c.now, Slices: 1, Window: time.Minute})
	o.Record("op", time.Millisecond, false)
	c.move(time.Minute)
	o.Record("op", 2*time.Millisecond, false)
	if s, _ := o.Operation("op"); s.Count != 1 || *s.MinMS != 2 {
		t.Errorf("%+v", s)
	}
}

func TestNoneIsNull(t *testing.T) {
	c := &clock{at: time.Unix(1e9, 0)}
	o := operations(t, Config{Now: c.now})
	o.Record("op", time.Millisecond, false)
	c.move(time.Hour)
	s, _ := o.Operation("op")
	got, err := json.Marshal(s)
	want := `{"count":0,"avg_ms":null,"min_ms":null,"max_ms":null,"p50_ms":null,"p90_ms":null,"p95_ms":null,"p99_ms":null,"error_count":0}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	if _, ok := o.Operation("never"); ok {
		t.Error("an operation that never was is found")
	}
}

func TestOperationsAreBounded(t *testing.T) {
	o := operations(t, Config{MaxOperations: 3})
	for i := range 50 {
		for range 2 {
			o.Record(fmt.Sprint("op", i), time.Millisecond, false)
		}
	}
	stats := o.Stats()
	if len(stats) != 4 || stats["op0"].Count != 2 || stats["op2"].Count != 2 || stats[Other].Count != 94 || o.Total() != 100 {
		t.Errorf("%d operations, total %d: %+v", len(stats), o.Total(), stats)
	}
	o.Clear()
	if len(o.Stats()) != 0 || o.Total() != 0 {
		t.Error("something is left after Clear")
	}
	o.Record(Other, time.Millisecond, false) // takes no operation's place
	for i := range 4 {
		o.Record(fmt.Sprint("new", i), time.Millisecond, false)
	}
	if stats := o.Stats(); len(stats) != 4 || stats[Other].Count != 2 || stats["new2"].Count != 1 {
		t.Errorf("after Clear: %+v", stats)
	}
}

func TestConcurrentRecordsAreAllCounted(t *testing.T) {
	c := &clock{at: time.Unix(1e9, 0)}
	o := operations(t, Config{Now: c.now, MaxOperations: 5})
	const writers, each = 8, 2000
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				o.Record(fmt.Sprint("op", (w+i)%10), time.Duration(i)*time.Microsecond, i%2 == 0)
				if i%500 == 0 {
					c.move(time.Second)
					o.Stats()
				}
			}
		})
	}
	wg.Wait()
	var count, failed uint64
	for _, s := range o.Stats() {
		count += s.Count
		failed += s.ErrorCount
	}
	if count != writers*each || failed != count/2 || o.Total() != count {
		t.Errorf("count %d, errors %d, total %d", count, failed, o.Total())
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []Config{
		{}, {Logger: quiet(), Slices: -1}, {Logger: quiet(), MaxOperations: -1},
		{Logger: quiet(), Window: -time.Second}, {Logger: quiet(), Window: 3, Slices: 4},
	} {
		if _, err := NewOperations(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

// fill records a busy window of log-normal times around 20 ms.
func fill(o *Operations, c *clock, names, perSlice int) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 15 {
		for name := range names {
			for range perSlice {
				o.Record(operationName(name), time.Duration(math.Exp(rng.NormFloat64()+3)*1e6), false)
			}
		}
		c.move(time.Minute)
	}
}

func operationName(i int) string { return fmt.Sprintf("POST /api/analytics/resource%03d", i) }

func TestMemoryOfFiveHundredOperationsIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("7.5 million records are not counted with -short")
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	c := &clock{at: time.Unix(1e9, 0)}
	before := heap()
	o := operations(t, Config{Now: c.now})
	fill(o, c, 500, 1000)
	used := int64(heap()) - int64(before)
	t.Logf("500 operations, 1,000 a minute each for 15 minutes: %.1f MB", float64(used)/1e6)
	if used > 10e6 {
		t.Errorf("%d bytes for 500 operations", used)
	}
	if o.Total() != 500*15*1000 {
		t.Error("not everything was recorded")
	}
}

func BenchmarkRecord(b *testing.B) {
	o := operations(b, Config{Now: time.Now})
	b.ReportAllocs()
	d := time.Millisecond
	for b.Loop() {
		d = d*5/4 + 1
		if d > 10*time.Second {
			d = time.Millisecond
		}
		o.Record("POST /api/analytics/track", d, false)
	}
}

func BenchmarkRecordParallel(b *testing.B) {
	o := operations(b, Config{Now: time.Now})
	b.RunParallel(func(pb *testing.PB) {
		d := time.Millisecond
		for pb.Next() {
			d = d*5/4 + 1
			if d > 10*time.Second {
				d = time.Millisecond
			}
			o.Record("POST /api/analytics/track", d, false)
		}
	})
}

func BenchmarkStats500(b *testing.B) {
	c := &clock{at: time.Unix(1e9, 0)}
	o := operations(b, Config{Now: c.now})
	fill(o, c, 500, 1000)
	for b.Loop() {
		o.Stats()
	}
}
