package ingest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
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
	e, err := p.cfg.Sink.Erase(ctx, id.String(), userID, refuse)
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
	if err := p.clean(ctx); err != nil {
		p.cfg.Logger.Warn("the journal's files may still hold an erased user until it has moved on", "erasure", e.ID, "cause", err)
		return e, nil
	}
	if err := p.cfg.Sink.JournalClean(ctx, e.ID); err != nil {
		return e, err
	}
	e.JournalAt = p.cfg.Now().UTC()
	return e, nil
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
