package storetest

import (
	"fmt"
	"reflect"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func destinationStories() []story {
	return []story{
		{"kept", destinationsKept},
		{"deleted", destinationsDeleted},
		{"of streams that are gone", destinationsOfGoneStreams},
		{"dead letters", undelivered},
		{"received", received},
	}
}

func (b *bench) destinations(stream string) store.Destinations {
	b.Helper()
	d, err := b.store.LoadDestinations(b.Context(), stream)
	b.ok(err)
	return d
}

func (b *bench) addDestination(name, config string, at store.DestinationCursor, r *store.DestinationReplay) bool {
	b.Helper()
	added, err := b.store.AddDestination(b.Context(), store.Destination{Name: name, Config: []byte(config), UpdatedAt: b.clock.Now()}, at, r, 2)
	b.ok(err)
	return added
}

// now is the time as the databases keep it.
func (b *bench) now() time.Time { return b.clock.Now().UTC().Truncate(time.Microsecond) }

func destinationsKept(b *bench) {
	made := b.now()
	at := store.DestinationCursor{Destination: "a", Stream: "s", Seq: 7, At: made, Of: made}
	replay := store.DestinationReplay{ID: "r1", Destination: "a", Stream: "s", What: "history", From: time.Time{}, To: at.At, AfterAt: time.Time{}, Of: made}
	if !b.addDestination("a", `{"x": "é"}`, at, &replay) {
		b.Error("a new one was there before")
	}
	b.clock.advance(time.Second)
	later := at
	later.Seq = 1
	if b.addDestination("a", `{"x": 3}`, later, nil) {
		b.Error("one that was there is new")
	}
	first := b.destinations("s").All[0]
	for want, was := range map[bool]store.Destination{true: first, false: {Name: "b", CreatedAt: made, UpdatedAt: made}} {
		if changed, err := b.store.ChangeDestination(b.Context(), was, store.Destination{Config: []byte(`{"x": 2}`), UpdatedAt: b.now()}); err != nil || changed != want {
			b.Errorf("%q changed: %v, %v", was.Name, changed, err)
		}
	}
	if changed, err := b.store.ChangeDestination(b.Context(), first, store.Destination{Config: []byte(`{}`), UpdatedAt: b.now()}); err != nil || changed {
		b.Errorf("one that was changed since it was read is changed again: %v", err)
	}
	b.reopen()
	want := store.Destinations{All: []store.Destination{{Name: "a", Config: []byte(`{"x": 2}`), CreatedAt: at.At, UpdatedAt: at.At.Add(time.Second)}},
		Cursors: []store.DestinationCursor{at}, Replays: []store.DestinationReplay{replay}}
	if got := b.destinations("s"); !reflect.DeepEqual(got, want) {
		b.Errorf("got  %+v\nwant %+v", got, want)
	}
	at.Seq, replay.AfterID = 9, "e1"
	more := store.DestinationReplay{ID: "r2", Destination: "a", Stream: "s", What: "gap", From: at.At, To: at.At, AfterAt: at.At, Of: made}
	term, _, err := b.store.Elect(b.Context(), "destinations/s", "me", time.Minute)
	b.ok(err)
	c := store.DestinationChanges{Cursors: []store.DestinationCursor{at}, Moved: []store.DestinationReplay{replay}, New: []store.DestinationReplay{more}}
	b.ok(b.store.SaveDestinations(b.Context(), &term, &c))
	b.ok(b.store.SaveDestinations(b.Context(), &term, &store.DestinationChanges{Ended: []string{"r1"}}))
	if got := b.destinations("s"); got.Cursors[0].Seq != 9 || len(got.Replays) != 1 || got.Replays[0] != more {
		b.Errorf("after changes: %+v", got)
	}
	b.wantKind(b.store.AddReplay(b.Context(), more, 1), errs.Conflict)
	more.ID, more.Stream = "r3", "another"
	b.ok(b.store.AddReplay(b.Context(), more, 1))
	b.addDestination("b", `{}`, at, nil)
	_, err = b.store.AddDestination(b.Context(), store.Destination{Name: "c", Config: []byte(`{}`), UpdatedAt: epoch}, at, nil, 2)
	b.wantKind(err, errs.Conflict)
}

// What was under way when a destination was deleted leaves nothing behind for the next of its name,
// be it made before or after.
func destinationsDeleted(b *bench) {
	made := b.now()
	at := store.DestinationCursor{Destination: "a", Stream: "s", Seq: 7, At: epoch, Of: made}
	b.addDestination("a", `{}`, at, nil)
	old := b.destinations("s").All[0]
	b.ok(b.store.DeleteDestination(b.Context(), "a"))
	b.wantKind(b.store.DeleteDestination(b.Context(), "a"), errs.NotFound)
	b.clock.advance(time.Millisecond)
	late := func() {
		r := store.DestinationReplay{ID: "r", Destination: "a", Stream: "s", What: "gap", Of: made}
		b.ok(b.store.SaveDestinations(b.Context(), nil, &store.DestinationChanges{Cursors: []store.DestinationCursor{at}, New: []store.DestinationReplay{r}}))
		b.ok(b.store.AddReplay(b.Context(), r, 9))
		e := event.Event{ID: "e", Name: "n", Type: event.Custom, Severity: event.Low, SampleRate: 1, Timestamp: epoch, ReceivedAt: epoch}
		b.ok(b.store.KeepUndelivered(b.Context(), "a", made, &store.Undelivered{ID: "u", Event: e, At: epoch}, 9))
		if changed, err := b.store.ChangeDestination(b.Context(), old, store.Destination{Config: []byte(`{"old": 1}`), UpdatedAt: b.now()}); err != nil || changed {
			b.Errorf("one that was deleted is changed: %v", err)
		}
	}
	late()
	next := at
	next.Seq, next.Of = 20, b.now()
	if !b.addDestination("a", `{}`, next, nil) {
		b.Error("a late change has brought it back")
	}
	late()
	if got := b.destinations("s"); len(got.Cursors) != 1 || got.Cursors[0].Seq != 20 || len(got.Replays) != 0 || string(got.All[0].Config) != `{}` {
		b.Errorf("the new one begins with %+v", got)
	}
	if n, err := b.store.CountUndelivered(b.Context(), "a"); err != nil || n != 0 {
		b.Errorf("the new one has %d dead letters of the old one, %v", n, err)
	}
}

// What is kept of a journal goes some time after its replica; of one that is only quiet it stays.
func destinationsOfGoneStreams(b *bench) {
	made, long := b.now(), b.now().Add(-40*24*time.Hour)
	b.addDestination("a", `{}`, store.DestinationCursor{Destination: "a", Stream: "current", Seq: 1, At: long, Of: made}, nil)
	c := store.DestinationChanges{}
	for stream, at := range map[string]time.Time{"gone": long, "quiet": long, "recent": made} {
		c.Cursors = append(c.Cursors, store.DestinationCursor{Destination: "a", Stream: stream, Seq: 1, At: at, Of: made})
	}
	for _, stream := range []string{"gone", "asked"} {
		r := store.DestinationReplay{ID: stream, Destination: "a", Stream: stream, What: "history", From: long, To: long, AfterAt: long, Of: made}
		if stream == "asked" {
			r.To = made
		}
		c.New = append(c.New, r)
	}
	b.ok(b.store.SaveDestinations(b.Context(), nil, &c))
	quiet, ok, err := b.store.Elect(b.Context(), "destinations/quiet", "q", time.Minute)
	if b.ok(err); !ok {
		b.Fatal("the office is not free")
	}
	want := 1
	if quiet.Alone { // the embedded database has one stream, and no offices
		want = 2
	}
	for _, want := range []int{want, 0} {
		if n, err := b.store.ForgetStreams(b.Context(), "current", made.Add(-30*24*time.Hour)); err != nil || n != want {
			b.Errorf("%d streams are gone, %v; want %d", n, err, want)
		}
	}
	for stream, want := range map[string][2]int{"current": {1, 0}, "gone": {0, 0}, "quiet": {2 - want, 0}, "recent": {1, 0}, "asked": {0, 1}} {
		if d := b.destinations(stream); len(d.Cursors) != want[0] || len(d.Replays) != want[1] {
			b.Errorf("%s has %d cursors and %d replays, want %v", stream, len(d.Cursors), len(d.Replays), want)
		}
	}
	if _, ok, err := b.store.Elect(b.Context(), "destinations/quiet", "another", time.Minute); err != nil || ok != quiet.Alone {
		b.Errorf("the quiet one has lost its office: %v %v", ok, err)
	}
}

func undelivered(b *bench) {
	made := b.now()
	b.addDestination("a", `{}`, store.DestinationCursor{Destination: "a", Stream: "s", At: epoch}, nil)
	keep := func(n int, user string) error {
		e := event.Event{ID: fmt.Sprint("e", n), Name: "n", Type: event.Custom, UserID: user, Severity: event.Low, SampleRate: 1,
			Timestamp: epoch.Truncate(time.Microsecond), ReceivedAt: b.clock.Now().Truncate(time.Microsecond)}
		return b.store.KeepUndelivered(b.Context(), "a", made, &store.Undelivered{ID: fmt.Sprint(n), Event: e, Detail: "no\x00pe", At: b.clock.Now()}, 3)
	}
	for n, user := range []string{"u1", "u2", "u1"} {
		b.ok(keep(n, user))
	}
	b.wantKind(keep(3, "u3"), errs.Overloaded)
	list, err := b.store.ListUndelivered(b.Context(), "a", "0", epoch.Add(time.Hour), 10)
	b.ok(err)
	if len(list) != 2 || list[0].Event.UserID != "u2" || list[1].ID != "2" {
		b.Errorf("listed %+v", list)
	}
	e, err := b.store.Erase(b.Context(), "er", "u1", false)
	b.ok(err)
	if n, err := b.store.CountUndelivered(b.Context(), "a"); err != nil || n != 1 || e.DeadLetters != 2 {
		b.Errorf("%d dead letters are left, %v; the receipt: %+v", n, err, e)
	}
	b.ok(keep(4, "u1")) // was under way
	if n, err := b.store.CountUndelivered(b.Context(), "a"); err != nil || n != 1 {
		b.Errorf("%d dead letters after an erased person's, %v", n, err)
	}
	erased, err := b.store.ErasedPersons(b.Context())
	b.ok(err)
	for user, want := range map[string]bool{"u1": true, "u2": false, "": false} {
		if erased(&event.Event{UserID: user, ReceivedAt: epoch}) != want {
			b.Errorf("%q erased: %v", user, !want)
		}
	}
	if n, err := b.store.DropUndelivered(b.Context(), "a", "1", "7"); err != nil || n != 1 {
		b.Errorf("dropped %d, %v", n, err)
	}
}

// received reads all events once, by the time of receipt, whatever the size of the pages.
func received(b *bench) {
	if first, err := b.store.FirstReceived(b.Context()); err != nil || !first.IsZero() {
		b.Errorf("an empty database begins at %v, %v", first, err)
	}
	start := epoch.Truncate(time.Microsecond)
	batch := store.Batch{From: b.cursor, Seq: b.cursor.Seq + 1}
	if batch.From.Stream == "" {
		batch.From.Stream = "s"
	}
	for n := range 50 {
		batch.Events = append(batch.Events, event.Event{ID: fmt.Sprintf("e%02d", 49-n), Name: "n", Type: event.Custom, Severity: event.Low, SampleRate: 1,
			Timestamp: start, ReceivedAt: start.Add(time.Duration(n/10) * time.Second)})
	}
	_, err := b.store.Commit(b.Context(), &batch)
	b.ok(err)
	seen := map[string]bool{}
	at, id := start, ""
	for {
		page, err := b.store.Received(b.Context(), at, start.Add(4*time.Second), id, 7)
		b.ok(err)
		for _, e := range page {
			if seen[e.ID] || e.ReceivedAt.Before(at) {
				b.Errorf("%s came again or out of order", e.ID)
			}
			seen[e.ID], at, id = true, e.ReceivedAt, e.ID
		}
		if len(page) < 7 {
			break
		}
	}
	if first, err := b.store.FirstReceived(b.Context()); err != nil || !first.Equal(start) || len(seen) != 40 {
		b.Errorf("%d events of 40, beginning at %v, %v", len(seen), first, err)
	}
}
