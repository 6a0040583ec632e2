package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/transfer"
)

// Import is one import: of a file, or of everything another service has.
type Import struct {
	Path   string // of a file; "-" = In
	From   string // data directory or postgres:// URL of another service, instead of a file
	Format string // empty = by the file's ending, else ndjson
	State  string // file that keeps how far the import is; empty = none
	Strict bool   // stop at the first row that is refused
	Remote Remote
	In     io.Reader
	Log    io.Writer
}

// mostReports bounds how many refused rows are told of.
const mostReports = 100

// settlePatience is how long the database may take for what the journal holds at the end.
const settlePatience = 10 * time.Minute

// Run takes the events in through validation, journal and ledger. It can be killed and run again: an
// event that was taken in before is a duplicate.
func (m Import) Run(ctx context.Context, cfg Config) (err error) {
	if (m.Path == "") == (m.From == "") {
		return errs.New(errs.Invalid, "name a file to import, or another service with --from")
	}
	if m.State != "" && (m.From != "" || m.Path == "-") {
		return errs.New(errs.Invalid, "a state is kept only of a file; anything else may simply be run again")
	}
	same, err := m.inPlace(cfg)
	if err != nil {
		return err
	}
	if err := m.keepsApart(cfg, same); err != nil {
		return err
	}
	if same {
		return m.move(ctx, cfg)
	}
	from, err := m.open(ctx, cfg, false) // what cannot be read is found before anything is started
	defer func() { err = errors.Join(err, from.close()) }()
	if err != nil {
		return err
	}
	to, err := m.Remote.or(func() (peer, error) { return openPeer(ctx, cfg, m.Log, true) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close(ctx)) }()
	if parts, direct := to.(*partsPeer); direct && from.store != nil {
		if err := parts.inheritErasures(ctx, from.store, false); err != nil {
			return err
		}
	}
	return m.run(ctx, cfg, &from, to)
}

// move brings a service from the embedded database of its data directory into PostgreSQL. Until all is there
// the directory stays as it was.
func (m Import) move(ctx context.Context, cfg Config) (err error) {
	if err := m.emptyJournal(ctx, cfg); err != nil {
		return err
	}
	release, err := takeDir(cfg.Data.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	target := cfg
	target.Data.Dir, target.Journal.URL, target.Journal.URLFile = movingDir(cfg.Data.Dir), "", ""
	target.Statistics.Metrics = nil // their totals are taken over; counted anew, they would lack what is gone, and stay
	defer func() { err = errors.Join(err, os.RemoveAll(target.Data.Dir)) }()
	to, err := openPeer(ctx, target, m.Log, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close(ctx)) }()
	parts, direct := to.(*partsPeer)
	if !direct {
		return errs.New(errs.Conflict, "a service runs on "+target.Data.Dir)
	}
	from, err := m.open(ctx, cfg, true)
	defer func() { err = errors.Join(err, from.close()) }()
	if err != nil {
		return err
	}
	again, err := begunBefore(cfg)
	if err != nil {
		return err
	}
	if err := parts.inheritErasures(ctx, from.store, again); err != nil {
		return err
	}
	if err := m.run(ctx, cfg, &from, to); err != nil {
		return err
	}
	if err := m.inherit(ctx, parts, from.store); err != nil {
		return err
	}
	if err := remember(parts.store, cfg, parts.app.logger).moved(ctx); err != nil {
		return err
	}
	return os.Remove(filepath.Join(cfg.Data.Dir, begunName))
}

func (p *partsPeer) inheritErasures(ctx context.Context, from *store.Store, again bool) error {
	if err := p.store.InheritErasures(ctx, from, again); err != nil {
		return fmt.Errorf("taking over who was erased: %w", err)
	}
	return nil
}

// inherit takes over what the service has beside its events, which are stored. Destinations that it
// knows then must not find those in the journal: they have had them.
func (m Import) inherit(ctx context.Context, p *partsPeer, from *store.Store) error {
	if err := p.app.pipeline.Forget(ctx); err != nil {
		return fmt.Errorf("emptying the journal: %w", err)
	}
	to := p.store
	err := to.InheritRollups(ctx, from)
	switch {
	case errs.Is(err, errs.Conflict):
		fmt.Fprintln(m.Log, "not taken over: what roll-ups count of events that are gone, because the two databases hold different events")
	case err != nil:
		return fmt.Errorf("taking over roll-ups: %w", err)
	}
	if err := to.Inherit(ctx, from); err != nil {
		return fmt.Errorf("taking over what there is beside events: %w", err)
	}
	fmt.Fprintln(m.Log, "taken over as well: access keys, settings, silences and the history of alerts, destinations, dead letters")
	return nil
}

// source is what an import reads.
type source struct {
	rows   transfer.Reader
	store  *store.Store   // of another service that does not run; else nil
	total  int64          // events; -1 = not known
	share  func() float64 // of it, how much is read; nil = not known
	closes []func() error
}

// close ends all, the last first.
func (s *source) close() error {
	var all []error
	for _, end := range slices.Backward(s.closes) {
		all = append(all, end())
	}
	return errors.Join(all...)
}

// inPlace reports whether the source is the embedded database in the very data directory whose
// journal the target uses.
func (m Import) inPlace(cfg Config) (bool, error) {
	if m.From == "" || isPostgres(m.From) || m.Remote.URL != "" {
		return false, nil
	}
	from, err := os.Stat(m.From)
	if err != nil {
		return false, hasEvents(m.From)
	}
	to, err := os.Stat(cfg.Data.Dir)
	if err != nil || !os.SameFile(from, to) { // whatever links lead there
		return false, nil
	}
	if cfg.Database.URL == "" {
		return false, errs.New(errs.Invalid, "the source and the target are the same service")
	}
	if inUse(m.From) {
		return false, errs.New(errs.Conflict, "a service runs on "+m.From+"; stop it first, or give this command a --data.dir of its own")
	}
	return true, nil
}

// keepsApart refuses to fill a database that is not that of the directory's service, and to read the embedded
// one of a directory whose service has its events elsewhere. In place it is read again for as long as it takes.
func (m Import) keepsApart(cfg Config, same bool) error {
	if m.Remote.URL == "" && !same {
		if err := cfg.keepsToOneDatabase(); err != nil {
			return err
		}
	}
	if m.From == "" || isPostgres(m.From) {
		return nil
	}
	if !same {
		if err := notElsewhere(m.From); err != nil {
			return err
		}
	}
	return hasEvents(m.From)
}

// emptyJournal stores in the embedded database what the journal holds, and has the journal forget
// it. The target would store it all anew, and with it events that were deleted since. After a move the
// journal is the target's.
func (m Import) emptyJournal(ctx context.Context, cfg Config) (err error) {
	if notElsewhere(cfg.Data.Dir) != nil {
		return nil
	}
	source := m.embedded(cfg)
	source.Data.Dir, source.Statistics = m.From, cfg.Statistics // what is stored now counts in metrics, too
	from, err := openPeer(ctx, source, m.Log, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.close(ctx)) }()
	if err := settle(ctx, from); err != nil {
		return fmt.Errorf("storing what waits in the journal: %w", err)
	}
	parts, alone := from.(*partsPeer)
	if !alone {
		return errs.New(errs.Conflict, "a service runs on "+m.From+"; stop it first, or give this command a --data.dir of its own")
	}
	return parts.app.pipeline.Forget(ctx)
}

// embedded is the configuration of the service to read from, as far as it is that of this command.
func (Import) embedded(cfg Config) Config {
	source := Default()
	source.Database.MemoryLimit, source.Database.QueryTimeout = cfg.Database.MemoryLimit, cfg.Database.QueryTimeout
	return source
}

func isPostgres(s string) bool {
	return strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://")
}

// open opens what is to be read.
func (m Import) open(ctx context.Context, cfg Config, same bool) (source, error) {
	if m.From != "" {
		return m.fromService(ctx, cfg, same)
	}
	s := source{total: -1}
	format, err := transfer.FormatOf(m.Format, m.Path)
	if err != nil {
		return s, err
	}
	in := m.In
	if m.Path != "-" {
		f, err := os.Open(m.Path)
		if err != nil {
			return s, fmt.Errorf("opening the file: %w", err)
		}
		in, s.share, s.closes = f, shareOf(f), append(s.closes, f.Close)
	}
	if s.rows, err = transfer.NewFileReader(format, in); err != nil {
		return source{}, errors.Join(fmt.Errorf("reading %s: %w", m.Path, err), s.close())
	}
	s.closes = append(s.closes, s.rows.Close)
	if r, ok := s.rows.(interface{ Rows() int64 }); ok {
		s.total = r.Rows()
	}
	return s, nil
}

// fromService reads another service's events.
func (m Import) fromService(ctx context.Context, cfg Config, same bool) (source, error) {
	other := m.embedded(cfg)
	if isPostgres(m.From) {
		other.Data.Dir, other.Database.URL = filepath.Join(cfg.Data.Dir, "no-service"), m.From
	} else {
		other.Data.Dir = m.From
	}
	var from peer
	var err error
	if same { // its lock is this command's, and its journal is empty
		var s *store.Store
		s, err = openStore(ctx, other, true, newLogger(m.Log, cfg.Log.Format, slog.LevelWarn), nil)
		from = &storePeer{s}
	} else {
		from, err = openPeer(ctx, other, m.Log, false)
	}
	if err != nil {
		return source{}, err
	}
	s := source{total: -1, closes: []func() error{func() error { return from.close(ctx) }}}
	switch p := from.(type) {
	case *storePeer:
		s.store = p.store
	case *partsPeer:
		s.store = p.store
	}
	if err := from.settle(ctx); err != nil {
		return source{}, errors.Join(fmt.Errorf("storing what waits in the other service's journal: %w", err), s.close())
	}
	if s.total, err = from.count(ctx, store.Filter{}); err != nil {
		return source{}, errors.Join(err, s.close())
	}
	s.rows = &scanReader{ctx: ctx, next: from.scan(store.Filter{}, store.Position{})}
	return s, nil
}

// shareOf tells how much of a file has been read.
func shareOf(f *os.File) func() float64 {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return nil
	}
	return func() float64 {
		at, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return 0
		}
		return float64(at) / float64(info.Size())
	}
}

func (m Import) run(ctx context.Context, cfg Config, from *source, to peer) error {
	report := &reporter{out: m.Log}
	show := newMeter(m.Log, "imported", 0, from.total)
	show.share = from.share
	job := transfer.Job{
		Reader: from.rows, Intake: to.intake(), Strict: m.Strict, Now: time.Now, Refused: report.refused,
		Waits:    report.waits,
		Progress: func(t transfer.Tally) { show.show(t.Skipped+t.Accepted, t.Rejected) },
	}
	var state *transfer.Progress
	if m.State != "" {
		var err error
		if state, job.After, err = transfer.OpenProgress(m.State, m.identity(cfg)); err != nil {
			return err
		}
		job.Save = func(t transfer.Tally) error { return state.Save(t.Last) }
	}
	t, err := job.Run(ctx)
	show.clear()
	if err == nil {
		err = settle(ctx, to)
	}
	if err == nil && state != nil {
		err = state.Finish()
	}
	report.end()
	fmt.Fprintf(m.Log, "imported: %s accepted, %s rejected", thousands(t.Accepted), thousands(t.Rejected))
	if t.Skipped > 0 {
		fmt.Fprintf(m.Log, ", %s taken in before", thousands(t.Skipped))
	}
	fmt.Fprintln(m.Log)
	return err
}

// absolute is a path that means the same from everywhere.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// identity tells one import from another.
func (m Import) identity(cfg Config) string {
	to := databaseID(cfg) + " " + absolute(cfg.Data.Dir)
	if m.Remote.URL != "" {
		to = m.Remote.URL
	}
	from := absolute(m.Path)
	if info, err := os.Stat(m.Path); err == nil { // a file that was mended is another one, also where its size is the same
		from += fmt.Sprintf(" of %d bytes, changed at %s", info.Size(), info.ModTime().UTC().Format(time.RFC3339Nano))
	}
	return from + " to " + to
}

// settle waits until what was taken in is stored.
func settle(ctx context.Context, p peer) error {
	for end := time.Now().Add(settlePatience); ; {
		err := p.settle(ctx)
		if err == nil || ctx.Err() != nil || !errs.Is(err, errs.Unavailable) || time.Now().After(end) {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// reporter tells of refused rows, of so many and no more.
type reporter struct {
	mu      sync.Mutex
	out     io.Writer
	rows    int
	waiting sync.Once
}

// waits tells the first time that nothing is taken in: what follows may last minutes.
func (r *reporter) waits(err error) {
	r.waiting.Do(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		fmt.Fprintf(r.out, "waiting, and trying again for some minutes: %v\n", err)
	})
}

func (r *reporter) refused(f transfer.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rows++; r.rows <= mostReports {
		fmt.Fprintf(r.out, "row %d: %s\n", f.Row, f.Reason)
	}
}

func (r *reporter) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if more := r.rows - mostReports; more > 0 {
		fmt.Fprintf(r.out, "and %s rows more were rejected\n", thousands(int64(more)))
	}
}

// scanReader reads a service's events as rows.
type scanReader struct {
	ctx    context.Context
	next   func(context.Context) ([]event.Event, error)
	page   []event.Event
	buf    []byte
	number int64
}

func (s *scanReader) Next() (transfer.Row, error) {
	if len(s.page) == 0 {
		page, err := s.next(s.ctx)
		if err != nil {
			return transfer.Row{}, err
		}
		if len(page) == 0 {
			return transfer.Row{}, io.EOF
		}
		s.page = page
	}
	s.buf = eventjson.Append(s.buf[:0], &s.page[0])
	s.page = s.page[1:]
	s.number++
	return transfer.Row{Number: s.number, JSON: s.buf}, nil
}

func (s *scanReader) Close() error { return nil }
