package destination

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

const (
	maxDestinations = 50
	maxReplays      = 10
	mostTries       = 20 // to change a destination that others change
)

// Request is what PutDestination is told.
type Request struct {
	Settings
	Secrets   Secrets    `json:"secrets,omitzero" doc:"Never shown. What is absent stays as it is; what is null is removed"`
	Start     string     `json:"start,omitempty" enum:"now,history" doc:"Of a new destination: with what comes from now on (default), or with what is stored first"`
	StartFrom *time.Time `json:"start_from,omitempty" doc:"Of history: received from then on; default everything"`
}

// View is a destination as it is shown: what was not given stands there as what holds.
type View struct {
	Settings
	SecretsSet []string `json:"secrets_set" nullable:"false" doc:"The secrets that it has; they are never shown"`
	Status     Status   `json:"status"`
}

// Status is how a destination stands.
type Status struct {
	State       string     `json:"state" enum:"delivering,retrying,open,replaying,paused,full,elsewhere" doc:"full: it waits until dead letters are replayed or dropped; elsewhere: another replica delivers, or none yet"`
	LagEvents   uint64     `json:"lag_events" doc:"In the journal, those that the filter leaves out included; while it is paused also what has left the journal since this process began"`
	LagSeconds  float64    `json:"lag_seconds" doc:"Age of the oldest event that is not delivered yet; 0 = all are"`
	Delivered   uint64     `json:"delivered" doc:"By this process, since its start or the last change"`
	LastSuccess *time.Time `json:"last_success" doc:"null = none yet"`
	LastError   string     `json:"last_error" doc:"Empty when the last try succeeded"`
	DeadLetters int64      `json:"dead_letters"`
	Replays     int        `json:"replays" doc:"That wait or are under way"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

// TestResult is what a destination answered to a test.
type TestResult struct {
	Success    bool    `json:"success"`
	Answer     string  `json:"answer" doc:"What it said, or why it could not be asked"`
	EventID    string  `json:"event_id" doc:"Of the event that was sent"`
	DurationMS float64 `json:"duration_ms"`
}

// standing is how a destination stands in this process.
type standing struct {
	name      string
	state     State
	lagEvents uint64
	lag       time.Duration
}

// standings are those of all destinations that run here or are paused.
func (m *Manager) standings() []standing {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []standing
	for name, k := range m.known {
		if !k.cfg.enabled() {
			all = append(all, m.standingPaused(name, k))
		} else if r := m.runners[name]; r != nil {
			all = append(all, m.standingOf(name, r))
		}
	}
	return all
}

// standingPaused is about one that is switched off: what waits for it, the journal need not have any
// more. m.mu is held.
func (m *Manager) standingPaused(name string, k *known) standing {
	events, oldest := m.tail.behind(k.saved)
	if m.opt.Log.State().LastSeq > k.saved && !m.tail.covers(k.saved) { // the first has left unseen
		oldest = k.at
	}
	if at := oldestGap(k.replays); !at.IsZero() {
		oldest = at
	}
	return standing{name: name, state: Paused, lagEvents: events, lag: m.since(oldest)}
}

// since is how long ago a time was; 0 for none.
func (m *Manager) since(at time.Time) time.Duration {
	if at.IsZero() {
		return 0
	}
	return max(m.opt.Now().Sub(at), 0)
}

func (m *Manager) standingOf(name string, r *runner) standing {
	r.mu.Lock()
	s := standing{name: name, state: r.state}
	seq := r.pos.seq
	oldest := oldestGap(r.replays)
	r.mu.Unlock()
	events, at := m.tail.behind(seq)
	if oldest.IsZero() {
		oldest = at
	}
	s.lagEvents, s.lag = events, m.since(oldest)
	return s
}

// oldestGap is from when on something is missing that has left the journal; zero for nothing.
func oldestGap(replays []store.DestinationReplay) (oldest time.Time) {
	for _, j := range replays {
		if j.What == gap && (oldest.IsZero() || j.AfterAt.Before(oldest)) {
			oldest = j.AfterAt
		}
	}
	return oldest
}

// Enabled names the destinations that are switched on, as destination:name.
func (m *Manager) Enabled() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name, k := range m.known {
		if k.cfg.enabled() {
			names = append(names, "destination:"+name)
		}
	}
	slices.Sort(names)
	return names
}

// List returns all destinations by name.
func (m *Manager) List(ctx context.Context) ([]View, error) {
	d, err := m.opt.Store.LoadDestinations(ctx, m.opt.Log.State().StreamID)
	if err != nil {
		return nil, err
	}
	views := []View{}
	for _, row := range d.All {
		v, err := m.view(ctx, row, d.Replays)
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}

func (m *Manager) view(ctx context.Context, row store.Destination, replays []store.DestinationReplay) (View, error) {
	cfg, err := readConfig(row.Config)
	if err != nil {
		return View{}, err
	}
	v := View{Settings: cfg.Settings, SecretsSet: cfg.Secrets.set(), Status: Status{State: "elsewhere", CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt}}
	on := cfg.enabled()
	v.Settings = cfg.complete()
	if v.Status.DeadLetters, err = m.opt.Store.CountUndelivered(ctx, row.Name); err != nil {
		return View{}, err
	}
	for _, r := range replays {
		if r.Destination == row.Name {
			v.Status.Replays++
		}
	}
	r := m.runnerOf(row.Name)
	switch {
	case !on:
		v.Status.State = Paused.String()
		m.mu.Lock()
		if k := m.known[row.Name]; k != nil && k.row.CreatedAt.Equal(row.CreatedAt) {
			s := m.standingPaused(row.Name, k)
			v.Status.LagEvents, v.Status.LagSeconds = s.lagEvents, s.lag.Seconds()
		}
		m.mu.Unlock()
	case r != nil && !r.stopped():
		s := m.standingOf(row.Name, r)
		v.Status.State, v.Status.LagEvents, v.Status.LagSeconds = s.state.String(), s.lagEvents, s.lag.Seconds()
		r.mu.Lock()
		v.Status.Delivered, v.Status.LastError = r.delivered, r.lastErr
		if !r.lastOK.IsZero() {
			at := r.lastOK.UTC()
			v.Status.LastSuccess = &at
		}
		r.mu.Unlock()
	}
	return v, nil
}

// row reads one destination, NotFound where there is none.
func (m *Manager) row(ctx context.Context, name string) (store.Destination, store.Destinations, error) {
	d, err := m.opt.Store.LoadDestinations(ctx, m.opt.Log.State().StreamID)
	if err != nil {
		return store.Destination{}, d, err
	}
	for _, row := range d.All {
		if row.Name == name {
			return row, d, nil
		}
	}
	return store.Destination{}, d, errNone()
}

func errNone() error { return errs.New(errs.NotFound, "there is no destination of this name") }

// Get returns one destination.
func (m *Manager) Get(ctx context.Context, name string) (View, error) {
	row, d, err := m.row(ctx, name)
	if err != nil {
		return View{}, err
	}
	return m.view(ctx, row, d.Replays)
}

// Put makes a destination or changes the one of that name.
func (m *Manager) Put(ctx context.Context, q *Request) (v View, created bool, err error) {
	if q.Start != "" && q.Start != "now" && q.Start != History || q.StartFrom != nil && q.Start != History {
		return View{}, false, &errs.Error{Kind: errs.Invalid, Detail: "the destination is invalid",
			Fields: []errs.Field{{Location: "/start", Message: "must be now or history; start_from goes with history"}}}
	}
	err = m.settle(ctx, q.Name, func(was *store.Destination) (done bool, err error) {
		c, err := q.config(was)
		if err != nil {
			return false, err
		}
		if created = was == nil; created {
			return m.add(ctx, &c, q)
		}
		return m.change(ctx, was, &c)
	})
	if err != nil {
		return View{}, false, err
	}
	v, err = m.Get(ctx, q.Name)
	return v, created, err
}

// config is the configuration that a request asks for, with what stays of the one that there was.
func (q *Request) config(was *store.Destination) (Config, error) {
	c := Config{Settings: q.Settings, Secrets: q.Secrets}
	if was != nil {
		before, err := readConfig(was.Config)
		if err != nil {
			return c, err
		}
		if before.Kind == c.Kind && before.URL == c.URL { // secrets go to nobody else
			c.Secrets.keep(before.Secrets)
		}
		c.Secrets.keep(Secrets{HashKey: before.Secrets.HashKey})
	}
	if c.Secrets.HashKey == "" {
		c.Secrets.HashKey = rand.Text()
	}
	return c, c.check()
}

// settle makes a change of what there is of one name, nil for nothing. A change that is not done
// because another one came in between is made anew of what there is then.
func (m *Manager) settle(ctx context.Context, name string, change func(was *store.Destination) (done bool, err error)) error {
	defer m.stir()
	for range mostTries {
		row, _, err := m.row(ctx, name)
		was := &row
		if errs.Is(err, errs.NotFound) {
			was, err = nil, nil
		}
		if err != nil {
			return err
		}
		if done, err := change(was); err != nil || done {
			return err
		}
	}
	return errs.New(errs.Conflict, "the destination is being changed by others; try again")
}

func (m *Manager) add(ctx context.Context, c *Config, q *Request) (bool, error) {
	raw, err := c.write()
	if err != nil {
		return false, err
	}
	s := m.opt.Log.State()
	now := m.opt.Now().UTC().Truncate(time.Microsecond)
	at := store.DestinationCursor{Destination: c.Name, Stream: s.StreamID, Seq: s.LastSeq, At: now, Of: now}
	var replay *store.DestinationReplay
	if q.Start == History {
		var from time.Time
		if q.StartFrom != nil {
			from = q.StartFrom.UTC()
		}
		// What lies before the cursor was received by now, or a little later by another replica's clock.
		job, err := newReplay(c.Name, now, s.StreamID, History, from, now.Add(gapSlack))
		if err != nil {
			return false, err
		}
		replay = &job
	}
	return m.opt.Store.AddDestination(ctx, store.Destination{Name: c.Name, Config: raw, UpdatedAt: now}, at, replay, maxDestinations)
}

// change gives a destination another configuration. Its new time differs from the old one, whatever
// the clock says: by it those who run it see that something has changed.
func (m *Manager) change(ctx context.Context, was *store.Destination, c *Config) (bool, error) {
	raw, err := c.write()
	if err != nil {
		return false, err
	}
	is := store.Destination{Config: raw, UpdatedAt: m.opt.Now().UTC().Truncate(time.Microsecond)}
	if !is.UpdatedAt.After(was.UpdatedAt) {
		is.UpdatedAt = was.UpdatedAt.Add(time.Microsecond)
	}
	return m.opt.Store.ChangeDestination(ctx, *was, is)
}

// Delete forgets a destination, its dead letters and replays.
func (m *Manager) Delete(ctx context.Context, name string) error {
	err := m.opt.Store.DeleteDestination(ctx, name)
	m.stir()
	return err
}

// SetEnabled switches a destination on or off. Whatever else is changed at the same time stays so.
func (m *Manager) SetEnabled(ctx context.Context, name string, on bool) (View, error) {
	err := m.settle(ctx, name, func(was *store.Destination) (done bool, err error) {
		if was == nil {
			return false, errNone()
		}
		c, err := readConfig(was.Config)
		if err != nil {
			return false, err
		}
		c.Enabled = &on
		return m.change(ctx, was, &c)
	})
	if err != nil {
		return View{}, err
	}
	return m.Get(ctx, name)
}

// Test sends one event, once, past the filter and everything that waits.
func (m *Manager) Test(ctx context.Context, name string) (TestResult, error) {
	row, _, err := m.row(ctx, name)
	if err != nil {
		return TestResult{}, err
	}
	c, err := readConfig(row.Config)
	if err != nil {
		return TestResult{}, err
	}
	now := m.opt.Now().UTC().Truncate(time.Microsecond)
	e := event.Event{
		ID: "test-" + uuid.NewString(), Name: "tidemark_test", Type: event.Custom, Timestamp: now, ReceivedAt: now,
		UserID: "tidemark-test", Severity: event.Low, SampleRate: 1, Properties: event.Object(`{"test":true}`),
	}
	s := newSender(&c, m.opt.LogRecord, m.opt.Now)
	defer s.close()
	ctx, cancel := context.WithTimeout(ctx, c.timeout())
	defer cancel()
	began := time.Now()
	answer, err := s.send(ctx, []event.Event{newTransform(&c.Transform, c.Secrets.HashKey).apply(e)})
	result := TestResult{Success: err == nil, Answer: answer, EventID: e.ID, DurationMS: float64(time.Since(began).Microseconds()) / 1000}
	if err != nil {
		result.Answer = err.Error()
	}
	return result, nil
}

// Replay has dead letters, or what was received between two times, delivered again.
func (m *Manager) Replay(ctx context.Context, name, what string, from, to time.Time) error {
	row, _, err := m.row(ctx, name)
	if err != nil {
		return err
	}
	now := m.opt.Now().UTC()
	if to.IsZero() || to.After(now) {
		to = now
	}
	invalid := func(location, message string) error {
		return &errs.Error{Kind: errs.Invalid, Detail: "the replay is invalid", Fields: []errs.Field{{Location: location, Message: message}}}
	}
	switch {
	case what != History && what != DeadLetters:
		return invalid("/what", "must be dead_letters or history")
	case what == History && from.IsZero():
		return invalid("/from", "is required: when the first was received")
	case !from.Before(to):
		return invalid("/to", "must be after from, which must have passed")
	}
	job, err := newReplay(name, row.CreatedAt, m.opt.Log.State().StreamID, what, from.UTC(), to.UTC())
	if err != nil {
		return err
	}
	err = m.opt.Store.AddReplay(ctx, job, maxReplays)
	m.stir()
	return err
}

// Undelivered lists dead letters, oldest first, after one of them.
func (m *Manager) Undelivered(ctx context.Context, name, after string, limit int) ([]store.Undelivered, error) {
	if _, _, err := m.row(ctx, name); err != nil {
		return nil, err
	}
	return m.opt.Store.ListUndelivered(ctx, name, after, m.opt.Now().Add(time.Hour), limit)
}

// DropUndelivered removes all dead letters.
func (m *Manager) DropUndelivered(ctx context.Context, name string) error {
	if _, _, err := m.row(ctx, name); err != nil {
		return err
	}
	_, err := m.opt.Store.DropUndelivered(ctx, name)
	return err
}
