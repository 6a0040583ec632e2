package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// workload is a random history of a store beside a plain list of what it should hold: events of
// odd shapes, duplicates, late ones, updates and deletions.
type workload struct {
	*bench
	r      *rand.Rand
	made   int
	events []event.Event

	unsampled bool
	erased    map[string]bool // expired events, of persons who were erased since
	received  time.Time       // of new events; zero = epoch
	sent      []event.Event
	expired   []event.Event // deleted for their age
}

func newWorkload(b *bench, seed uint64) *workload {
	return &workload{bench: b, r: rand.New(rand.NewPCG(seed, 7)), erased: map[string]bool{}}
}

// pick is one of the choices.
func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

// clockChanges are moments about which clocks do odd things: two hours shown twice, one skipped, a
// year's and a leap day's end, half an hour, and a midnight that does not exist.
var clockChanges = []time.Time{
	time.Date(2025, 3, 30, 1, 0, 0, 0, time.UTC), time.Date(2024, 10, 27, 1, 0, 0, 0, time.UTC),
	time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2024, 2, 29, 23, 0, 0, 0, time.UTC),
	time.Date(2024, 10, 5, 15, 30, 0, 0, time.UTC), time.Date(2024, 9, 8, 4, 0, 0, 0, time.UTC),
}

func (w *workload) event() event.Event {
	r := w.r
	w.made++
	e := at(fmt.Sprintf("e%d-%d", w.made, r.IntN(1000)), 0)
	if !w.received.IsZero() {
		e.ReceivedAt = w.received
	}
	e.Timestamp = pick(r, clockChanges...).Add(time.Duration(r.Int64N(int64(72*time.Hour))) - 36*time.Hour).Truncate(pick(r, time.Microsecond, time.Hour, 8*time.Hour))
	e.Name = pick(r, "view", "cart", "pay", "pay", "été", "a'b\"c", "Z")
	e.Type = pick(r, event.Types...)
	e.Severity = pick(r, event.Severities...)
	e.UserID = pick(r, "", "u1", "u2", "u3", "u4", "ü5", "u'6")
	e.AnonymousID = pick(r, "", "", "a1", "a2")
	e.SessionID = pick(r, "", "s1", "s2", "s3", "s4", "s5")
	e.Source = pick(r, "", "web", "app", "web shop", "web,shop", "Web", "\u00e9clair")
	if e.SampleRate = pick(r, 1, 1, 1, 0.5, 0.25); w.unsampled {
		e.SampleRate = 1
	}
	if r.IntN(5) == 0 {
		e.Processed, e.ProcessedAt = true, e.Timestamp
	}
	if r.IntN(3) == 0 {
		e.Tags = pick(r, []string{"a"}, []string{"a", "b"}, []string{`q"`, "ü"}, []string{"ab"})
	}
	e.Properties = w.properties()
	if r.IntN(3) == 0 {
		e.Metadata = event.Object(`{"plan":"` + pick(r, "pro", "free") + `"}`)
	}
	return e
}

// longText is longer than the texts that dimensions count apart.
var longText = strings.Repeat("long ", 30)

// properties are JSON of every sort, written in different ways for the same values.
func (w *workload) properties() event.Object {
	r := w.r
	if r.IntN(8) == 0 {
		return nil
	}
	plan := pick(r, `"pro"`, `"pro"`, `"free"`, `"\u0070ro"`, `"Pro"`, `"a b"`, `"a!"`, `"a\"b\\c"`, `"true"`, `"42"`, `"é\n\u001f/\u007f"`,
		`""`, `true`, `false`, `null`, `42`, `42.0`, `4.2e1`, `0`, `-0`, `-0.0`, `-7`, `1e21`, `{"x":1}`, `["pro"]`, `123456789012345678901234567890`, `"`+longText+`"`)
	amount := pick(r, `0`, `1`, `2.5`, `10`, `-3.5`, `1e3`, `"12"`, `true`, `null`, `[]`, fmt.Sprintf("%d.25", r.IntN(500)))
	members := []string{`"plan":` + plan, `"amount":` + amount}
	for _, odd := range []string{
		`"a.b":` + pick(r, `1`, `"dot"`), `"*":` + pick(r, `"star"`, `2`), `"q\"x/y~z\\w":` + pick(r, `"quote"`, `3`),
		`"deep":` + pick(r, `{"0":"zero","k":{"n":1}}`, `["first","second"]`, `{"k":{"n":2.5}}`, `{"k":[1]}`, `"k"`), `"$":` + pick(r, `"dollar"`, `4`),
		`"0":` + pick(r, `"nought"`, `5`), `"\u00fc":` + pick(r, `"umlaut"`, `6`),
	} {
		if r.IntN(3) == 0 {
			members = append(members, odd)
		}
	}
	r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return event.Object("{" + strings.Join(members, ",") + "}")
}

// run stores n events in batches, some of them twice, and changes and deletes some.
func (w *workload) run(n int) {
	w.Helper()
	var batch []event.Event
	for range n {
		if len(w.sent) > 0 && w.r.IntN(10) == 0 {
			again := pick(w.r, w.sent...)
			again.Timestamp = again.Timestamp.Add(time.Hour) // same id, another time: a duplicate
			batch = append(batch, again)
			continue
		}
		e := w.event()
		batch = append(batch, e)
		w.events, w.sent = append(w.events, e), append(w.sent, e)
	}
	for part := range slices.Chunk(batch, 1+n/3) {
		w.commit(part...)
	}
	for range n / 10 {
		w.change()
	}
}

// change updates or deletes one event.
func (w *workload) change() {
	w.Helper()
	i := w.r.IntN(len(w.events))
	e := &w.events[i]
	var p store.Patch
	switch w.r.IntN(6) {
	case 5:
		if _, err := w.store.MarkProcessed(w.Context(), []string{e.ID, "unknown"}, epoch); err != nil {
			w.Fatal(err)
		}
		now, err := w.store.Get(w.Context(), e.ID)
		w.ok(err)
		*e = now
		return
	case 0:
		w.ok(w.store.Delete(w.Context(), e.ID))
		w.events = slices.Delete(w.events, i, i+1)
		return
	case 1:
		p.Processed = ptr(true)
	case 2:
		p.Severity = ptr(pick(w.r, event.Severities...))
	case 3:
		p.Tags = &[]string{"b", "new"}
	case 4:
		p.Metadata = ptr(event.Object(`{"plan":"changed","n":[1,{"a":null}]}`))
	}
	now, err := w.store.Update(w.Context(), e.ID, p, epoch)
	w.ok(err)
	*e = now
}

// later lets time pass, so that ids of before may be forgotten and events of before be deleted.
func (w *workload) later(d time.Duration) {
	w.clock.advance(d)
	w.received, w.sent = w.clock.Now().Truncate(time.Microsecond), nil
}

// expire deletes for their age events of before a moment, in steps.
func (w *workload) expire(before time.Time) {
	w.Helper()
	for {
		n, err := w.store.Expire(w.Context(), before, 1+w.r.IntN(50))
		w.ok(err)
		if n == 0 {
			break
		}
	}
	left := map[string]bool{}
	for _, id := range w.ids(store.Filter{}) {
		left[id] = true
	}
	w.events = slices.DeleteFunc(w.events, func(e event.Event) bool {
		if !left[e.ID] {
			w.expired = append(w.expired, e)
		}
		return !left[e.ID]
	})
}

// erase removes a person. What was received of them until then is not stored any more.
func (w *workload) erase() {
	w.Helper()
	user := pick(w.r, "u1", "u2", "u3", "u4", "ü5", "u'6")
	w.made++
	_, err := w.store.Erase(w.Context(), fmt.Sprint("erasure ", w.made), user, false)
	w.ok(err)
	w.events = slices.DeleteFunc(w.events, func(e event.Event) bool { return e.UserID == user })
	for _, e := range w.expired {
		if e.UserID == user {
			w.erased[e.ID] = true
		}
	}
	w.clock.advance(time.Second)
	w.received = w.clock.Now().Truncate(time.Microsecond)
}
