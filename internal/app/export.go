package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/transfer"
)

// Remote is a service reached over HTTP instead of through its data directory.
type Remote struct {
	URL string // empty = none
	Key string
}

// Export is one export. Out and Log are where the events go without a path, and what is told.
type Export struct {
	Filter store.Filter
	Format string      // empty = by the file's ending, else ndjson
	Path   string      // empty = Out
	Mode   fs.FileMode // of the file at Path; 0 = as it is made
	Remote Remote
	Out    io.Writer
	Log    io.Writer
}

// Run writes the stored events that the filter selects, after storing what waits in the journal.
// With a path it can be killed and run again: it goes on where the file is safely written.
func (x Export) Run(ctx context.Context, cfg Config) (err error) {
	format, err := transfer.FormatOf(x.Format, x.Path)
	if err != nil {
		return err
	}
	from, err := x.Remote.or(func() (peer, error) { return openPeer(ctx, cfg, x.Log, false) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.close(ctx)) }()
	if err := from.settle(ctx); err != nil {
		return fmt.Errorf("storing what waits in the journal: %w", err)
	}
	total, err := from.count(ctx, x.Filter)
	if err != nil {
		return err
	}
	if x.Path == "" {
		return x.stream(ctx, from, format, total)
	}
	if err := x.file(ctx, cfg, from, format, total); err != nil || x.Mode == 0 {
		return err
	}
	return os.Chmod(x.Path, x.Mode)
}

// or is the peer at the remote's URL, or the other one where there is none.
func (r Remote) or(other func() (peer, error)) (peer, error) {
	if r.URL == "" {
		return other()
	}
	service, err := throughHTTP(r.URL, r.Key)
	if err != nil {
		return nil, err
	}
	return &runningPeer{service}, nil
}

// stream writes to Out.
func (x Export) stream(ctx context.Context, from peer, format transfer.Format, total int64) error {
	buf := bufio.NewWriterSize(x.Out, 256<<10)
	w, err := transfer.NewWriter(format, buf, false)
	if err != nil {
		return err
	}
	n, err := x.copy(ctx, from, store.Position{}, 0, total, w.Write)
	if err != nil {
		return err
	}
	if err := errors.Join(w.Close(), buf.Flush()); err != nil {
		return fmt.Errorf("writing the events: %w", err)
	}
	return x.done(n)
}

// file writes to Path.
func (x Export) file(ctx context.Context, cfg Config, from peer, format transfer.Format, total int64) error {
	if format == transfer.Parquet {
		if _, err := os.Lstat(x.Path); err == nil {
			return errs.New(errs.Conflict, x.Path+" is there already; remove it or name another file")
		}
		if done, err := from.parquet(ctx, x.Filter, x.Path); err != nil {
			return err
		} else if done {
			return x.doneFile(total)
		}
	}
	selects, err := x.selects(cfg, format)
	if err != nil {
		return err
	}
	out, err := transfer.Create(x.Path, format, selects, time.Now)
	if err != nil {
		return err
	}
	place, n := out.After()
	n, err = x.copy(ctx, from, store.Position(place), n, total, out.Write)
	if err != nil {
		if format != transfer.Parquet && ctx.Err() == nil { // who stopped it says so
			fmt.Fprintf(x.Log, "%s.part is not whole; the same command, run again, goes on with it\n", x.Path)
		}
		return errors.Join(err, out.Leave())
	}
	if err := out.Finish(); err != nil {
		return err
	}
	return x.done(n)
}

// selects tells one export from another: what is selected, from where, and how it is written.
func (x Export) selects(cfg Config, format transfer.Format) (string, error) {
	source := databaseID(cfg) + " " + absolute(cfg.Data.Dir)
	if x.Remote.URL != "" {
		source = x.Remote.URL
	}
	text, err := json.Marshal(struct {
		Source string
		Format transfer.Format
		Filter store.Filter
	}{source, format, x.Filter})
	return string(text), err
}

// copy reads to the end and returns how many events there are with those before.
func (x Export) copy(ctx context.Context, from peer, after store.Position, n, total int64, write func([]event.Event) error) (int64, error) {
	m := newMeter(x.Log, "exported", n, total)
	defer m.clear()
	for next := from.scan(x.Filter, after); ; {
		page, err := next(ctx)
		if err != nil || len(page) == 0 {
			return n, err
		}
		if err := write(page); err != nil {
			return n, err
		}
		n += int64(len(page))
		m.show(n, 0)
	}
}

func (x Export) done(n int64) error {
	_, err := fmt.Fprintf(x.Log, "exported %s events\n", thousands(n))
	return err
}

func (x Export) doneFile(total int64) error {
	if total >= 0 {
		return x.done(total)
	}
	_, err := fmt.Fprintln(x.Log, "exported to", x.Path)
	return err
}
