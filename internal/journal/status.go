package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// fullRoom is how much room must be left for the journal not to count as full, unless that is
// more than a sixteenth of its bound.
const fullRoom = 256 << 10

// alarms are the shares of the bound, in percent, over which a warning is logged.
var alarms = [...]int64{90, 70}

// status is what is known of the stream and of what keeps it from taking more.
type status struct {
	cfg Config
	log *slog.Logger

	mu       sync.Mutex
	now      State
	settled  uint64    // everything up to here is known to be stored in the database
	oldest   uint64    // the message that now.Oldest speaks of
	held     uint64    // newest position when the stream was opened
	own      uint64    // newest position written by this process
	recent   recent    // the newest messages of this process
	asked    uint64    // how many questions were put to the stream
	heard    uint64    // the latest question whose answer was taken over
	failure  error     // why there is no link
	disk     error     // why the disk has no room
	alarm    int64     // the highest alarm that is on
	answered time.Time // when the stream was last asked with success
}

func newStatus(cfg Config) *status { return &status{cfg: cfg, log: cfg.Logger} }

// opened takes over the state of a stream that has just been opened. A stream that is not the
// one this process knew, or lacks what it has acknowledged, is refused.
func (s *status) opened(ctx context.Context, l *link, info *jetstream.StreamInfo) error {
	s.mu.Lock()
	own, kept := s.own, max(s.now.FirstSeq, s.settled+1)
	if s.now.StreamID == "" {
		s.now.StreamID = identity(info)
		// Purge keeps the newest message, so the first one is likely settled; its age says nothing.
		s.settled = info.State.FirstSeq
		own = 0
	}
	s.now.LastSeq, s.held = info.State.LastSeq, info.State.LastSeq
	s.mu.Unlock()
	if own > 0 {
		if err := l.holds(ctx, own); err != nil && own >= info.State.FirstSeq {
			return err
		}
		if err := whole(&info.State, kept); err != nil && s.cfg.URL == "" {
			return err
		}
	}
	return s.refresh(ctx, l)
}

// whole makes sure that a stream only this process purges still has all its messages from kept on.
func whole(st *jetstream.StreamState, kept uint64) error {
	if st.FirstSeq > kept {
		return errMissing(fmt.Errorf("the stream begins at %d, nothing from %d on was purged", st.FirstSeq, kept))
	}
	if st.NumDeleted > 0 {
		return errMissing(fmt.Errorf("%d messages between %d and %d", st.NumDeleted, st.FirstSeq, st.LastSeq))
	}
	return nil
}

// verify refuses a stream that is not the one that was written to up to own. s.mu is held.
func (s *status) verify(info *jetstream.StreamInfo, own uint64) error {
	switch {
	case identity(info) != s.now.StreamID:
		return errs.New(errs.Unavailable, "journal: the stream is another one than before; what it held is gone, restart to use the new one")
	case info.State.LastSeq < own:
		return errMissing(fmt.Errorf("the stream ends at %d, %d was acknowledged", info.State.LastSeq, own))
	}
	return nil
}

// refresh asks the stream how it stands. Of answers that overtake each other only the one to
// the latest question counts: an older one may be from before a purge.
func (s *status) refresh(ctx context.Context, l *link) error {
	turn, own := s.ask()
	info, err := l.stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("asking the stream for its state: %w", err)
	}
	want, known, err := s.hear(turn, own, info)
	if known || err != nil {
		return err
	}
	at, err := l.timeAt(ctx, want)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // purged meanwhile; the next refresh sees what is left
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if turn == s.heard {
		s.oldest, s.now.Oldest = want, at
	}
	return nil
}

// ask numbers a question to the stream, and notes what this process had written before it.
func (s *status) ask() (turn, own uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.asked, s.own
}

// hear takes over the answer to a question. It returns the oldest unsettled message, and whether
// all is known of it.
func (s *status) hear(turn, own uint64, info *jetstream.StreamInfo) (oldest uint64, known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.verify(info, own); err != nil {
		return 0, false, err
	}
	s.answered = s.cfg.Now()
	if turn < s.heard {
		return 0, true, nil
	}
	s.heard = turn
	// What this process wrote while the answer was on its way is not in it.
	s.now.FirstSeq = info.State.FirstSeq
	if info.State.Msgs == 0 && s.own > info.State.LastSeq {
		s.now.FirstSeq = info.State.LastSeq + 1
	}
	s.now.LastSeq = max(info.State.LastSeq, s.now.LastSeq)
	s.now.Bytes = int64(info.State.Bytes) + s.recent.after(info.State.LastSeq)
	s.now.MaxBytes = s.cfg.MaxBytes
	if b := info.Config.MaxBytes; b > 0 && b < s.now.MaxBytes {
		s.now.MaxBytes = b
	}
	s.sound()
	oldest, known = s.oldestUnsettled(info)
	return oldest, known, nil
}

// oldestUnsettled finds the first message that is not known to be settled. It notes its time
// where that is known; otherwise the message must be read for it. s.mu is held.
func (s *status) oldestUnsettled(info *jetstream.StreamInfo) (seq uint64, known bool) {
	first, last := info.State.FirstSeq, info.State.LastSeq
	seq = max(s.settled+1, first)
	switch {
	case info.State.Msgs == 0 || seq > last:
		s.oldest, s.now.Oldest = 0, time.Time{}
	case seq == first:
		s.oldest, s.now.Oldest = seq, info.State.FirstTime
	case seq != s.oldest:
		return seq, false
	}
	return seq, true
}

// sound logs a warning when the journal passes one of the alarms on the way up. s.mu is held.
func (s *status) sound() {
	reached := int64(0)
	for _, percent := range alarms {
		if s.now.Bytes >= s.now.MaxBytes/100*percent {
			reached = percent
			break
		}
	}
	if reached > s.alarm {
		s.log.Warn("the journal is filling: the database does not take events as fast as they come",
			"percent", reached, "bytes", s.now.Bytes, "max_bytes", s.now.MaxBytes)
	}
	s.alarm = reached
}

// wrote notes a message of this process.
func (s *status) wrote(m Message, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now.FirstSeq == 0 {
		s.now.FirstSeq = s.now.LastSeq + 1 // somebody else may have been first
	}
	s.own = max(s.own, m.Seq)
	s.now.LastSeq = max(s.now.LastSeq, m.Seq)
	s.recent.add(m, size)
	s.now.Bytes += int64(size)
	s.sound()
}

// following returns the message after a position, where this process remembers it. Where it has not
// been written yet, news is closed when it is; nobody but this process may write then.
func (s *status) following(last uint64) (m Message, ok bool, news <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, ok = s.recent.at(last + 1); !ok && last >= max(s.own, s.held) {
		news = s.recent.next()
	}
	return m, ok, news
}

// settledUpTo notes that everything up to stored is in the database, and returns the first
// position that is to be kept when all up to upTo may go; 0 when there is nothing to purge.
func (s *status) settledUpTo(stored, upTo uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = max(s.settled, min(stored, s.now.LastSeq))
	if keep := min(upTo+1, s.now.LastSeq); keep > s.now.FirstSeq {
		return keep
	}
	return 0
}

// admit refuses n more bytes when there is no room for them, or none for anybody.
func (s *status) admit(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refusal(); err != nil {
		return err
	}
	if s.now.Bytes+int64(n) > s.now.MaxBytes {
		return errFull(nil)
	}
	return nil
}

// refusal is why nothing is taken now. s.mu is held.
func (s *status) refusal() error {
	room := min(fullRoom, s.now.MaxBytes/16)
	switch {
	case s.failure != nil:
		return s.failure
	case s.disk != nil:
		return s.disk
	case s.now.Bytes+room > s.now.MaxBytes:
		return errFull(nil)
	case !s.now.Oldest.IsZero() && s.cfg.Now().Sub(s.now.Oldest) > s.cfg.MaxAge:
		return errTooOld()
	}
	return nil
}

func (s *status) state() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.now
	st.Err = s.refusal()
	return st
}

func (s *status) setDisk(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if (err == nil) != (s.disk == nil) {
		if err != nil {
			s.log.Warn("the journal takes nothing", "error", err)
		} else {
			s.log.Info("the journal's disk has room again")
		}
	}
	s.disk = err
}

func (s *status) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = unavailable("the journal cannot write", err)
}

func (s *status) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = nil
	s.answered = s.cfg.Now()
}

// broken returns why there is no link.
func (s *status) broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.failure
	}
	return errClosed()
}

// silence is how long the stream has not answered.
func (s *status) silence() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg.Now().Sub(s.answered)
}

func (s *status) last() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.LastSeq
}

func (s *status) appended() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own
}
