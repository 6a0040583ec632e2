package ingest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/store"
)

const (
	// cleanPatience is how long an erasure waits for the journal before it answers that it is not
	// clean yet.
	cleanPatience = 20 * time.Second

	// JetStream writes a file anew without its purged messages when these are more than half of it
	// and more than 2 MiB. Padding makes sure that they are. It is drawn by chance, so that it stays
	// as large when the journal compresses it.
	paddingPieces = 14
	paddingBytes  = 160 << 10 // fits the smallest bound that a journal can have
	paddingMark   = '#'
)

// Erase removes a user from the database and from this process's journal and memory. The receipt
// tells how far it came: what the journal still holds is dropped when it is stored, but its bytes
// leave only with it.
func (p *Pipeline) Erase(ctx context.Context, userID string, refuse bool) (store.Erasure, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return store.Erasure{}, errs.Wrap(errs.Internal, "making an erasure's id", err)
	}
	wait, cancel := context.WithTimeout(ctx, freshness)
	late := p.WaitStored(wait, p.end()) // so that the receipt counts what was accepted a moment ago
	cancel()
	if err := p.unclean.ask(id.String()); err != nil {
		p.cfg.Logger.Warn("if the process is killed now, a receipt will not tell when the journal was clean", "erasure", id.String(), "cause", err)
	}
	e, err := p.cfg.Sink.Erase(ctx, id.String(), userID, refuse)
	p.unclean.add(id.String()) // also after an error: the database may have it all the same
	if err != nil {
		return store.Erasure{}, err
	}
	p.recent.forget(userID)
	if p.cfg.Erased != nil {
		p.cfg.Erased(ctx)
	}
	if late != nil {
		p.cfg.Logger.Warn("a user was erased while events wait in the journal; those of the user are dropped there", "cause", late)
	}
	if _, err := p.Clean(ctx, 0); err != nil {
		p.cfg.Logger.Warn("the journal's files may still hold an erased user; it is tried again within minutes", "erasure", e.ID, "cause", err)
		return e, nil
	}
	e.JournalAt = p.cfg.Now().UTC()
	return e, nil
}

// unclean is what this process knows of persons who may be in its journal's files.
type unclean struct {
	cleaning sync.Mutex
	passed   int64 // so many erasures the files are clean of; guarded by cleaning

	keep func(ids []string) error // over a restart; nil = that is not needed

	mu    sync.Mutex
	asked map[string]bool // erasures that this process was asked for: whether the database has them
}

func newUnclean(cfg Config) *unclean {
	u := &unclean{keep: cfg.Unclean.Keep, asked: map[string]bool{}}
	for _, id := range cfg.Unclean.IDs {
		u.asked[id] = true
	}
	return u
}

// ask is before an erasure, so that it is known of even when the process is killed right after it.
func (u *unclean) ask(id string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked[id] = false
	return u.write()
}

// add is after it.
func (u *unclean) add(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked[id] = true
}

// known are the erasures that the database has.
func (u *unclean) known() (ids []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, there := range u.asked {
		if there {
			ids = append(ids, id)
		}
	}
	return ids
}

// noted forgets erasures whose receipts tell that the journal is clean.
func (u *unclean) noted(ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range ids {
		delete(u.asked, id)
	}
	return u.write()
}

// write keeps what there is. u.mu is held.
func (u *unclean) write() error {
	if u.keep == nil {
		return nil
	}
	return u.keep(slices.Sorted(maps.Keys(u.asked)))
}

// Clean has everybody leave the files of this process's journal who was erased, through any replica,
// unless that was done when there were as many erasures as done says. It returns how many there are.
func (p *Pipeline) Clean(ctx context.Context, done int64) (int64, error) {
	p.unclean.cleaning.Lock()
	defer p.unclean.cleaning.Unlock()
	ids := p.unclean.known() // before they are counted
	n, err := p.cfg.Sink.CountErasures(ctx)
	due := err == nil && n != done && n != p.unclean.passed
	if due {
		err = p.clean(ctx)
	}
	if err == nil && (due || len(ids) > 0) {
		err = p.cfg.Sink.JournalClean(ctx, ids...)
	}
	if err != nil {
		return done, err
	}
	p.unclean.passed = n
	if err := p.unclean.noted(ids); err != nil {
		p.cfg.Logger.Warn("receipts that are complete will be looked at once more", "cause", err)
	}
	return n, nil
}

// clean has everything leave the journal's files that is in them now: it is stored, purged, and the
// file that it shares with newer messages written anew.
func (p *Pipeline) clean(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cleanPatience)
	defer cancel()
	for range paddingPieces {
		seq, err := p.append(ctx, journal.Entry{Lines: padding()})
		if err != nil {
			return err
		}
		if err := p.WaitStored(ctx, seq); err != nil {
			return err
		}
	}
	return p.Forget(ctx)
}

// padding is a line that says nothing and that nothing makes shorter.
func padding() []byte {
	random := make([]byte, paddingBytes*3/4)
	rand.Read(random)
	line := append(make([]byte, 0, paddingBytes+2), paddingMark)
	return append(base64.RawStdEncoding.AppendEncode(line, random), '\n')
}

// isPadding reports whether a journal line says nothing.
func isPadding(line []byte) bool { return len(line) > 0 && line[0] == paddingMark }
