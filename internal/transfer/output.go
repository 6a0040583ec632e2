package transfer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// Place is where an export stands: behind the event of this time and id.
type Place struct {
	Timestamp time.Time `json:"timestamp"`
	EventID   string    `json:"event_id"`
}

// Output is the file of an export. Until Finish it has ".part" behind its name, and beside it a file
// that says how far it is safely written, so that an export that was killed goes on there. A Parquet
// file, which has its table of contents at the end, begins anew.
type Output struct {
	path   string
	format Format
	now    func() time.Time
	file   *os.File
	lock   *flock.Flock
	buf    *bufio.Writer
	w      Writer
	at     outputState
	saved  time.Time
	broken bool // writing has failed: what was made safe before counts
}

// outputState is what is kept of an unfinished file.
type outputState struct {
	Selects string `json:"selects"` // what is exported, from where
	Bytes   int64  `json:"bytes"`   // of the file that count
	Events  int64  `json:"events"`
	Place   Place  `json:"place"`
}

const saveOutput = 2 * time.Second

// Create begins a file, or goes on with an unfinished one of the same name that selects the same.
// It does not replace a finished one.
func Create(path string, f Format, selects string, now func() time.Time) (*Output, error) {
	o := &Output{path: path, format: f, now: now, saved: now(), at: outputState{Selects: selects}}
	if err := o.free(); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(o.part(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making the file: %w", err)
	}
	o.file = file
	o.lock = flock.New(o.part())
	if err = o.alone(); err == nil {
		err = o.goOn(selects)
	}
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	o.buf = bufio.NewWriterSize(file, 256<<10)
	o.w, err = NewWriter(f, o.buf, o.at.Bytes > 0)
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	return o, nil
}

// alone keeps others from writing to the same file, until it is closed. Some file systems have no locks.
func (o *Output) alone() error {
	if locked, err := o.lock.TryLock(); err == nil && !locked {
		return errs.New(errs.Conflict, "another export is writing "+o.path+"; wait for its end or name another file")
	}
	return o.free()
}

// free refuses a name that a finished file has.
func (o *Output) free() error {
	if _, err := os.Lstat(o.path); err == nil {
		return errs.New(errs.Conflict, o.path+" is there already; remove it or name another file")
	}
	return nil
}

// close closes the file and lets others have it.
func (o *Output) close() error { return errors.Join(o.file.Close(), o.lock.Close()) }

func (o *Output) part() string  { return o.path + ".part" }
func (o *Output) state() string { return o.path + ".part.state" }

// goOn cuts the file to what is known to be written.
func (o *Output) goOn(selects string) error {
	var s outputState
	text, err := os.ReadFile(o.state())
	if err == nil && o.format != Parquet && json.Unmarshal(text, &s) == nil && s.Selects == selects {
		if info, err := o.file.Stat(); err == nil && info.Size() >= s.Bytes {
			o.at = s
		}
	}
	if err := o.file.Truncate(o.at.Bytes); err != nil {
		return err
	}
	_, err = o.file.Seek(o.at.Bytes, io.SeekStart)
	return err
}

// After is where the export is to go on, and how many events are in the file.
func (o *Output) After() (Place, int64) { return o.at.Place, o.at.Events }

// Write adds events, and now and then makes safe what is written.
func (o *Output) Write(events []event.Event) error {
	if err := o.w.Write(events); err != nil {
		o.broken = true
		return fmt.Errorf("writing the file: %w", err)
	}
	if n := len(events); n > 0 {
		o.at.Events += int64(n)
		o.at.Place = Place{events[n-1].Timestamp, events[n-1].ID}
	}
	if o.format == Parquet || o.now().Sub(o.saved) < saveOutput {
		return nil
	}
	o.saved = o.now()
	return o.save()
}

// save makes the file safe, and then says so.
func (o *Output) save() error {
	if err := o.flush(); err != nil {
		return err
	}
	at, err := o.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	o.at.Bytes = at
	return writeState(o.state(), o.at)
}

func (o *Output) flush() error {
	if err := o.buf.Flush(); err != nil {
		return fmt.Errorf("writing the file: %w", err)
	}
	return o.file.Sync()
}

// Finish completes the file and gives it its name.
func (o *Output) Finish() error {
	err := o.w.Close()
	if err == nil {
		err = o.flush()
	}
	if err = errors.Join(err, o.close()); err != nil {
		return err
	}
	if err := os.Rename(o.part(), o.path); err != nil {
		return err
	}
	if err := os.Remove(o.state()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return syncDir(filepath.Dir(o.path))
}

// Leave closes an unfinished file so that it can be gone on with.
func (o *Output) Leave() error {
	var err error
	if o.format != Parquet && !o.broken {
		err = o.save()
	}
	return errors.Join(err, o.close())
}

// writeState replaces a small file as a whole.
func writeState(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("keeping the state: %w", err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keeping the state: %w", err)
	}
	return os.Rename(next, path)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
