package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/ingest"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/transfer"
	"github.com/tidemark-obs/tidemark/internal/upkeep"
)

// peer is one end of a move: a service that runs, or the parts of one that does not.
type peer interface {
	// settle stores what the peer has accepted so far.
	settle(ctx context.Context) error
	// scan reads events as store.Scan does.
	scan(f store.Filter, after store.Position) (next func(context.Context) ([]event.Event, error))
	// count is how many events a scan will read, or -1 where that is not known beforehand.
	count(ctx context.Context, f store.Filter) (int64, error)
	// parquet writes all events of a filter to a file, done unless the peer cannot do that by itself.
	parquet(ctx context.Context, f store.Filter, path string) (done bool, err error)
	// intake takes in rows.
	intake() transfer.Intake
	// maintain does one round of upkeep.
	maintain(ctx context.Context, compact bool) (upkeep.Report, error)
	close(ctx context.Context) error
}

// openPeer opens the service of a configuration. While one runs on its data directory, that one is
// asked. Otherwise the parts that store work here; to read a PostgreSQL database, the database alone, unless
// the directory has the journal of events that are to be stored there.
// Nothing is delivered to destinations, which the journal keeps for the service, and nothing expires
// or ceases to be declared: who copies events does not mean that.
func openPeer(ctx context.Context, cfg Config, log io.Writer, write bool) (peer, error) {
	if !write && cfg.Database.URL != "" && !inUse(cfg.Data.Dir) && !feeds(cfg) {
		s, err := openStore(ctx, cfg, true, newLogger(log, cfg.Log.Format, slog.LevelWarn), nil)
		if err != nil {
			return nil, err
		}
		return &storePeer{s}, nil
	}
	cfg.Log.Level = "warn"
	a, err := New(cfg, Options{Log: log})
	if err != nil {
		return nil, err
	}
	a.command = true
	err = a.take(ctx, a.lock, a.startTelemetry, a.openStore, a.openJournal, a.makeRooms, a.load, a.knowDestinations, a.runStoring, a.runPeerLoops)
	var busy *inUseError
	if errors.As(err, &busy) {
		return askPeer(ctx, cfg)
	}
	if err != nil {
		return nil, err
	}
	return &partsPeer{storePeer{a.store}, a}, nil
}

// feeds reports whether a data directory has a journal whose events go to a configuration's PostgreSQL.
func feeds(cfg Config) bool {
	last := lastOrigin(cfg.Data.Dir)
	return cfg.Journal.URL == "" && last != nil && *last == sha256.Sum256([]byte(cfg.Database.URL))
}

// databasePath is where, on the socket, a service tells which database it uses.
const databasePath = "/database"

// databaseID names a database without saying where it is.
func databaseID(cfg Config) string {
	sum := sha256.Sum256([]byte(cfg.Database.URL))
	return hex.EncodeToString(sum[:])
}

// askPeer reaches the service that holds the data directory, if it keeps its events where the
// configuration says.
func askPeer(ctx context.Context, cfg Config) (peer, error) {
	r := throughSocket(cfg.Data.Dir)
	res, err := r.ask(ctx, http.MethodGet, databasePath, "", nil)
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	id, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return nil, errors.Join(err, r.close())
	}
	if string(id) != databaseID(cfg) {
		return nil, errors.Join(errs.New(errs.Conflict, "the service that runs on "+cfg.Data.Dir+" uses another database than this command; "+
			"give both the same --database.url, or this command a --data.dir of its own"), r.close())
	}
	return &runningPeer{r}, nil
}

// inUse reports whether a service runs on a data directory, without making one.
func inUse(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, "lock")); err != nil {
		return false
	}
	release, err := lockDir(dir)
	if err != nil {
		var busy *inUseError
		return errors.As(err, &busy)
	}
	return release() != nil
}

// storePeer is a database to be read.
type storePeer struct{ store *store.Store }

func (p *storePeer) settle(context.Context) error { return nil }

func (p *storePeer) scan(f store.Filter, after store.Position) func(context.Context) ([]event.Event, error) {
	return p.store.Scan(f, after)
}

func (p *storePeer) count(ctx context.Context, f store.Filter) (int64, error) {
	return p.store.Count(ctx, f)
}

func (p *storePeer) parquet(ctx context.Context, f store.Filter, path string) (bool, error) {
	if !p.store.WritesParquet() {
		return false, nil
	}
	return true, p.store.WriteParquet(ctx, f, func(made string) error { return moveFile(made, path) })
}

func (p *storePeer) intake() transfer.Intake     { return nil }
func (p *storePeer) close(context.Context) error { return p.store.Close() }

// moveFile gives a file another name, if need be on another disk.
func moveFile(from, to string) error {
	if os.Rename(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return writeFile(to, in)
}

// writeFile makes a file of what a reader has. One that is cut short does not get its name.
func writeFile(path string, in io.Reader) error {
	out, err := os.OpenFile(path+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}

// partsPeer is what of a service stores, at work in this process.
type partsPeer struct {
	storePeer
	app *App
}

func (p *partsPeer) settle(ctx context.Context) error {
	_, err := p.app.pipeline.Flush(ctx)
	return err
}

func (p *partsPeer) intake() transfer.Intake { return p }

// importBacklog is how many events may wait for the database before an import waits for it.
const importBacklog = 100_000

// Submit takes rows in at the same pipeline that doors use.
func (p *partsPeer) Submit(ctx context.Context, rows []transfer.Row) ([]transfer.Refusal, error) {
	items := make([]ingest.Item, len(rows))
	for i := range rows {
		items[i].Warnings, items[i].Err = p.app.live.DecodeMoved(rows[i].JSON, &items[i].Event)
	}
	seq, err := p.app.pipeline.Submit(ctx, event.Import, items)
	if err != nil {
		return nil, err
	}
	var refused []transfer.Refusal
	for i := range items {
		if items[i].Err != nil {
			refused = append(refused, transfer.Refusal{Row: rows[i].Number, Reason: transfer.ReasonOf(items[i].Err)})
		}
	}
	if p.app.pipeline.Status().Buffered > importBacklog {
		return refused, p.app.pipeline.WaitStored(ctx, seq)
	}
	return refused, nil
}

func (p *partsPeer) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(p.app.cfg.Web.ShutdownTimeout))
	defer cancel()
	return p.app.Stop(ctx)
}

// runningPeer is a service that runs.
type runningPeer struct{ *running }

func (p *runningPeer) settle(ctx context.Context) error {
	return p.call(ctx, http.MethodPost, "/api/analytics/flush", nil, "", nil)
}

func (p *runningPeer) count(context.Context, store.Filter) (int64, error) { return -1, nil }

func (p *runningPeer) close(context.Context) error { return p.running.close() }

func (p *runningPeer) intake() transfer.Intake { return p }
