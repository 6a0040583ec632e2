//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// delivering is how fast events go on to other services, and what that costs who stores.
type delivering struct {
	Database string       `json:"database"`
	Setup    string       `json:"setup"`
	One      moved        `json:"to_one"`                      // by webhook, all of them waiting in the journal
	Without  []throughput `json:"full_load"`                   // by turns with
	Beside   []throughput `json:"beside_five"`                 // webhooks to receivers that take everything
	Meantime float64      `json:"delivered_beside_per_second"` // by all five
	CaughtUp []catchingUp `json:"caught_up_afterwards"`        // after each turn
}

// catchingUp is what was left to deliver when everything was stored, to all destinations together,
// and how long they took for it. Every one had then got every event.
type catchingUp struct {
	Events    int           `json:"events"`
	Took      time.Duration `json:"took_ns"`
	PerSecond float64       `json:"per_second"`
}

const (
	deliveredEvents  = 100_000
	destinationsPath = "/api/analytics/destinations"
	fewDestinations  = 5
	besideTurns      = 2
)

// deliverAll measures destinations on each database.
func (b *bench) deliverAll(ctx context.Context, r *report, databases []string) error {
	var failed []error
	for _, name := range databases {
		if ctx.Err() != nil {
			break
		}
		d := &delivering{Database: name}
		r.Destinations = append(r.Destinations, d)
		failed = append(failed, b.deliver(ctx, d))
	}
	return errors.Join(failed...)
}

// delivery is a service with destinations and what receives from them.
type delivery struct {
	*running
	*delivering
	receiver *receiver
	url      string
}

func (b *bench) deliver(ctx context.Context, f *delivering) (err error) {
	db, err := b.prepare(ctx, f.Database, "destinations-"+f.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	f.Setup = db.setup
	d := &delivery{running: &running{bench: b, db: db, figures: &figures{Database: f.Database}}, delivering: f, receiver: newReceiver()}
	server := httptest.NewServer(d.receiver)
	defer server.Close()
	d.url = server.URL
	if err := d.start(ctx); err != nil {
		return err
	}
	// It ends before the receiver, which may be holding a request of it.
	defer func() {
		d.receiver.open()
		err = errors.Join(err, d.service.end(ctx))
	}()
	return b.each(ctx, f.Database+" with destinations", []step{
		{name: "delivery", do: d.one}, {name: "storing beside destinations", do: d.five},
	})
}

// one lets a receiver hold the first request until all events are stored, so that what is measured
// then is delivery alone.
func (d *delivery) one(ctx context.Context) error {
	if err := d.put(ctx, 1); err != nil {
		return err
	}
	if _, _, err := d.loaded(ctx, "events for a destination that waits", d.batches(deliveredEvents)); err != nil {
		return err
	}
	begin := time.Now()
	d.receiver.open()
	err := d.during(d.delivering.Database+": delivery", func() error { return d.received(ctx, named(0), deliveredEvents) }, d.receiver.String)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	d.One = moved{Events: deliveredEvents, Bytes: d.receiver.bytes.Load(), Took: took, PerSecond: perSecond(deliveredEvents, took)}
	return d.remove(ctx, 1)
}

// received waits until a destination has got so many events, each counted once.
func (d *delivery) received(ctx context.Context, name string, events int) error {
	most, since := -1, time.Now()
	for {
		if n := d.receiver.count(name); n > most {
			most, since = n, time.Now()
			if n >= events && d.receiver.distinct(name) >= events {
				break
			}
		}
		if time.Since(since) > stallAfter {
			return fmt.Errorf("%d of %d events were delivered to %s, and no more come", d.receiver.distinct(name), events, name)
		}
		if err := d.service.pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	if n := d.receiver.distinct(name); n > events {
		return fmt.Errorf("%d events were delivered to %s, of %d that there are", n, name, events)
	}
	return nil
}

// five measures full load with and without destinations, by turns: what comes later finds more in the
// database, and roll-ups to be put together, so that each comes first as often as the other.
func (d *delivery) five(ctx context.Context) error {
	l := load{path: batchPath, over: batchConns, batch: batchEvents, time: d.plan.Turn}
	for turn := range besideTurns {
		order := []func(context.Context, load) error{d.without, d.beside}
		if turn%2 == 1 {
			slices.Reverse(order)
		}
		for _, measure := range order {
			if err := measure(ctx, l); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *delivery) without(ctx context.Context, l load) error {
	_, t, err := d.loaded(ctx, "full load without destinations", l)
	if err == nil {
		d.Without = append(d.Without, t)
	}
	return err
}

// beside is full load beside five destinations, until they have delivered all of it.
func (d *delivery) beside(ctx context.Context, l load) error {
	if err := d.put(ctx, fewDestinations); err != nil {
		return err
	}
	d.receiver.forget()
	before, begin := d.receiver.events.Load(), time.Now()
	_, t, err := d.loaded(ctx, "full load beside five destinations", l)
	if err != nil {
		return err
	}
	d.Beside = append(d.Beside, t)
	d.Meantime += perSecond(int(d.receiver.events.Load()-before), time.Since(begin)) / besideTurns
	if err := d.catchUp(ctx, t.Events); err != nil {
		return err
	}
	return d.remove(ctx, fewDestinations)
}

// catchUp waits until all destinations have got what the load was.
func (d *delivery) catchUp(ctx context.Context, events int) error {
	left, begin := 0, time.Now()
	for i := range fewDestinations {
		left += max(events-d.receiver.count(named(i)), 0)
	}
	err := d.during(d.delivering.Database+": catching up", func() error {
		for i := range fewDestinations {
			if err := d.received(ctx, named(i), events); err != nil {
				return err
			}
		}
		return nil
	}, d.receiver.String)
	took := time.Since(begin)
	d.CaughtUp = append(d.CaughtUp, catchingUp{Events: left, Took: took, PerSecond: perSecond(left, took)})
	return err
}

func named(i int) string { return fmt.Sprintf("d%d", i) }

// put makes so many destinations.
func (d *delivery) put(ctx context.Context, n int) error {
	for i := range n {
		err := d.service.call(ctx, http.MethodPost, destinationsPath, map[string]any{
			"name": named(i), "kind": "webhook", "url": d.url + "/" + named(i), "allow_private_addresses": true,
			"timeout_ms": 30_000, "secrets": map[string]any{"secret": "a secret of the bench, long enough"},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *delivery) remove(ctx context.Context, n int) error {
	for i := range n {
		if err := d.service.call(ctx, http.MethodDelete, destinationsPath+"/"+named(i), nil); err != nil {
			return err
		}
	}
	return nil
}

// call sends JSON and reads no more of the answer than why it is not a good one.
func (s *service) call(ctx context.Context, method, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.addr+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	a, err := s.client.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode/100 != 2 {
		why, _ := io.ReadAll(io.LimitReader(a.Body, 1000))
		return fmt.Errorf("%s %s answers %s: %s", method, path, a.Status, why)
	}
	return nil
}

// receiver takes the events of CloudEvents batches once it is open; until then it holds requests.
type receiver struct {
	opened chan struct{}
	open   func()
	events atomic.Int64
	bytes  atomic.Int64
	bodies sync.Pool
	seed   maphash.Seed

	mu  sync.Mutex
	got map[string][]uint64 // hashes of ids, by the path they came to, as they came
}

func newReceiver() *receiver {
	r := &receiver{
		opened: make(chan struct{}), bodies: sync.Pool{New: func() any { return new(bytes.Buffer) }},
		seed: maphash.MakeSeed(), got: map[string][]uint64{},
	}
	r.open = sync.OnceFunc(func() { close(r.opened) })
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body := r.bodies.Get().(*bytes.Buffer)
	defer r.bodies.Put(body)
	body.Reset()
	if _, err := body.ReadFrom(q.Body); err != nil {
		http.Error(w, "the body ends early", http.StatusBadRequest)
		return
	}
	select {
	case <-r.opened:
	case <-q.Context().Done():
		return
	}
	r.events.Add(int64(r.note(strings.TrimPrefix(q.URL.Path, "/"), body.Bytes())))
	r.bytes.Add(int64(body.Len()))
}

// note remembers the ids of a batch and returns how many there are.
func (r *receiver) note(name string, batch []byte) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.got[name]
	for {
		_, after, more := bytes.Cut(batch, []byte(`,"id":"`))
		if !more {
			r.got[name] = list
			return n
		}
		id, rest, _ := bytes.Cut(after, []byte(`"`))
		list = append(list, maphash.Bytes(r.seed, id))
		batch, n = rest, n+1
	}
}

// count is how many events came for a destination, repetitions included.
func (r *receiver) count(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got[name])
}

// distinct is how many different events came for a destination.
func (r *receiver) distinct(name string) int {
	r.mu.Lock()
	all := slices.Clone(r.got[name])
	r.mu.Unlock()
	slices.Sort(all)
	return len(slices.Compact(all))
}

// forget begins anew for every destination.
func (r *receiver) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.got)
}

func (r *receiver) String() string { return fmt.Sprintf("%d events received", r.events.Load()) }

// The targets of destinations.
const (
	deliveredPerSecond = 50_000
	storedBesideFive   = 0.85
)

func (d *delivering) judge() (all []verdict) {
	add := judging(d.Database, &all)
	add(d.One.Events > 0, verdict{Name: "delivery to a local receiver", Measured: d.One.PerSecond, Bound: deliveredPerSecond, AtLeast: true, Unit: "events/s"})
	without, beside := meanStored(d.Without), meanStored(d.Beside)
	add(without > 0 && beside > 0, verdict{Name: "stored beside five destinations / without", Measured: ratio(beside, without),
		Bound: storedBesideFive, AtLeast: true, Unit: "x"})
	return all
}

func meanStored(turns []throughput) float64 {
	sum := 0.0
	for _, t := range turns {
		sum += t.StoredPerSecond
	}
	return ratio(sum, float64(len(turns)))
}

// printDestinations writes what the verdicts do not say.
func (r *report) printDestinations(w io.Writer) {
	for _, d := range r.Destinations {
		fmt.Fprintf(w, "\n%s, destinations\tdelivered to one\t%s events/s\n\tstored without, beside five\t%s, %s events/s\n\tdelivered to all five beside that\t%s events/s\n",
			d.Database, rate(d.One.PerSecond), rate(meanStored(d.Without)), rate(meanStored(d.Beside)), rate(d.Meantime))
		for _, c := range d.CaughtUp {
			fmt.Fprintf(w, "\tcaught up with the %d left, none missing\t%.1f s, %s events/s\n", c.Events, c.Took.Seconds(), rate(c.PerSecond))
		}
	}
}
