package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// spool is a queue of events in a directory:
//
//	0000000000000007.seg   one event a line, each behind its checksum; appended to, never changed
//	0000000000000008.seg   the newest is written to
//	cursor                 up to where events have their verdict: a segment and an offset
//	lock                   held by the process that uses the directory
//
// A line whose end is missing was being written when the process died: nobody was told yes, and it
// is cut. Segments are deleted once all in them is settled.
type spool struct {
	dir          string
	lock, cursor *os.File
	limit        int64 // bytes of all segments
	segmentBytes int64
	bytes        int64
	segments     []*segment // oldest first; never empty
	active       *os.File   // of the last
	reading      *os.File   // of the first; nil until something is read
	at           int64      // where reading goes on
	flying       bool       // a batch of the first segment was taken and not settled
	line         []byte
	corrupt      int

	syncing sync.Mutex // over what syncEvery does outside the client's lock
	shared  sync.Mutex // over retired and active, which syncEvery reads
	retired []*os.File // full segments that are not synced yet
	dirty   bool
	grown   bool // the directory has a new file
}

// segment is one file.
type segment struct {
	number uint64
	size   int64
	events int // not settled
	bad    int // lines known to be unreadable
}

const segmentSuffix = ".seg"

func segmentName(number uint64) string { return fmt.Sprintf("%016x%s", number, segmentSuffix) }

// openSpool takes the directory and finds what waits in it.
func openSpool(dir string, limit int64) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	s := &spool{dir: dir, lock: lock, limit: limit, segmentBytes: min(4<<20, limit/8)}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *spool) open() error {
	var err error
	if s.cursor, err = os.OpenFile(filepath.Join(s.dir, "cursor"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	from := readMark(s.cursor)
	numbers, err := listSegments(s.dir)
	if err != nil {
		return err
	}
	last := from.segment
	for _, n := range numbers {
		last = max(last, n)
		if n < from.segment {
			if err := os.Remove(s.path(n)); err != nil {
				return err
			}
			continue
		}
		offset := int64(0)
		if n == from.segment {
			offset = from.offset
		}
		if err := s.recover(n, offset); err != nil {
			return err
		}
	}
	return s.rotate(last + 1)
}

// recover takes over a segment of an earlier process from an offset on.
func (s *spool) recover(number uint64, offset int64) error {
	found, err := scanSegment(s.path(number), offset)
	if err != nil {
		return err
	}
	s.corrupt += found.bad
	if found.events == 0 {
		return os.Remove(s.path(number))
	}
	if len(s.segments) == 0 {
		s.at = offset
	}
	s.segments = append(s.segments, &segment{number: number, size: found.size, events: found.events, bad: found.bad})
	s.bytes += found.size
	return nil
}

func (s *spool) path(number uint64) string { return filepath.Join(s.dir, segmentName(number)) }

// rotate begins a segment. The one before is synced later: Track must not wait for a disk.
func (s *spool) rotate(number uint64) error {
	f, err := os.OpenFile(s.path(number), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	s.shared.Lock()
	if s.active != nil {
		s.retired = append(s.retired, s.active)
	}
	s.active, s.grown = f, true
	s.shared.Unlock()
	s.segments = append(s.segments, &segment{number: number})
	return nil
}

func (s *spool) events() (n int) {
	for _, g := range s.segments {
		n += g.events
	}
	return n
}

func (s *spool) last() *segment { return s.segments[len(s.segments)-1] }

// add appends an event. When it returns nil the operating system has it.
func (s *spool) add(event []byte) (room, error) {
	s.line = appendLine(s.line[:0], event)
	n := int64(len(s.line))
	if s.bytes+n > s.limit {
		return room{}, errFull
	}
	g := s.last()
	if g.size > 0 && g.size+n > s.segmentBytes {
		if err := s.rotate(g.number + 1); err != nil {
			return room{}, err
		}
		g = s.last()
	}
	if _, err := s.active.Write(s.line); err != nil {
		return room{}, errors.Join(err, s.mend(g))
	}
	g.size += n
	g.events++
	s.bytes += n
	s.shared.Lock()
	s.dirty = true
	s.shared.Unlock()
	return room{}, nil
}

// mend takes back half a line. Where that fails, what follows goes to another file.
func (s *spool) mend(g *segment) error {
	if err := s.active.Truncate(g.size); err != nil {
		return errors.Join(err, s.rotate(g.number+1))
	}
	return nil
}

// take copies the oldest events from the first segment that has some.
func (s *spool) take(b *batch, most, mostBytes int) {
	for {
		g := s.segments[0]
		if g.events > 0 {
			s.read(g, b, most, mostBytes)
			if len(b.events) > 0 {
				s.flying = true
				return
			}
			if g.events > 0 {
				continue // behind lines that were unreadable
			}
		}
		if len(s.segments) == 1 {
			return
		}
		s.drop(0)
	}
}

// read fills b with lines of the first segment from s.at on. What cannot be read is lost.
func (s *spool) read(g *segment, b *batch, most, mostBytes int) {
	b.next = mark{g.number, s.at}
	whole := g.size - s.at
	for want := min(whole, int64(mostBytes+most*lineOverhead)); ; want = min(whole, 2*want) {
		if err := s.fill(g, b, want); err != nil {
			break
		}
		s.parse(g, b, most, mostBytes)
		if b.next.offset > s.at || want == whole {
			break
		}
	}
	if len(b.events) > 0 {
		return
	}
	if b.next.offset == s.at { // nothing can be read, so nothing behind it can
		b.lost, g.events = b.lost+g.events, 0
	}
	s.at = b.next.offset
}

// fill reads the next bytes of the first segment.
func (s *spool) fill(g *segment, b *batch, want int64) (err error) {
	if s.reading == nil {
		if s.reading, err = os.Open(s.path(g.number)); err != nil {
			return err
		}
	}
	b.raw = slices.Grow(b.raw[:0], int(want))[:want]
	n, err := s.reading.ReadAt(b.raw, s.at)
	b.raw = b.raw[:n]
	if n > 0 {
		return nil
	}
	return err
}

// parse finds the events in what was read.
func (s *spool) parse(g *segment, b *batch, most, mostBytes int) {
	lines(b.raw, func(event span, end int, good bool) bool {
		if good && (len(b.events) == most || len(b.events) > 0 && end > mostBytes) {
			return false
		}
		b.next.offset = s.at + int64(end)
		switch {
		case good:
			b.events = append(b.events, event)
		case g.bad > 0:
			g.bad--
		default:
			b.lost++
			g.events--
		}
		return true
	})
}

// settle notes that the batch is done with.
func (s *spool) settle(b *batch) {
	g := s.segments[0]
	g.events -= len(b.events)
	s.at, s.flying = b.next.offset, false
	writeMark(s.cursor, b.next)
	if g.events > 0 {
		return
	}
	if len(s.segments) > 1 {
		s.drop(0)
	} else if g.size >= s.segmentBytes/4 && s.rotate(g.number+1) == nil {
		s.drop(0)
	}
}

// drop removes a segment. A file that cannot be deleted is behind the cursor or is sent again by
// the next process, under the same ids.
func (s *spool) drop(i int) {
	g := s.segments[i]
	if i == 0 {
		if s.reading != nil {
			_ = s.reading.Close() // only read from
		}
		s.reading, s.at = nil, 0
	}
	_ = os.Remove(s.path(g.number))
	s.bytes -= g.size
	s.segments = slices.Delete(s.segments, i, i+1)
	if i == 0 {
		writeMark(s.cursor, mark{segment: s.segments[0].number})
	}
}

// dropOldest drops the oldest segment that nothing is being sent of, and returns how many events
// that were.
func (s *spool) dropOldest() int {
	i := 0
	if s.flying {
		i = 1
	}
	if i >= len(s.segments) {
		return 0
	}
	if i == len(s.segments)-1 && (s.segments[i].size == 0 || s.rotate(s.segments[i].number+1) != nil) {
		return 0
	}
	n := s.segments[i].events
	s.drop(i)
	return n
}

// close syncs and releases everything.
func (s *spool) close() error {
	err := s.sync()
	for _, f := range []*os.File{s.active, s.reading, s.cursor, s.lock} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// sync brings to the disk what was written until now.
func (s *spool) sync() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	s.shared.Lock()
	full, f, dirty, grown := s.retired, s.active, s.dirty, s.grown
	s.retired, s.dirty, s.grown = nil, false, false
	s.shared.Unlock()
	var all []error
	for _, r := range full {
		all = append(all, r.Sync(), r.Close())
	}
	if dirty && f != nil {
		if err := f.Sync(); !errors.Is(err, os.ErrClosed) {
			all = append(all, err)
		}
	}
	if grown {
		all = append(all, syncDir(s.dir))
	}
	return errors.Join(all...)
}

// syncEvery syncs until ctx ends.
func (s *spool) syncEvery(ctx context.Context, d time.Duration, logger *slog.Logger) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := s.sync(); err != nil {
				logger.Warn("the spool was not synced", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}
