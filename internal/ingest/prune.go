package ingest

import (
	"context"
	"time"
)

const (
	pruneEvery   = time.Hour
	keepReceipts = 7 * 24 * time.Hour // above the 48 hours promised for duplicates
)

// prune forgets receipts and tombstones that are past their promise.
func (p *Pipeline) prune(ctx context.Context) {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := p.cfg.Sink.Prune(ctx, p.cfg.Now().Add(-keepReceipts)); err != nil && ctx.Err() == nil {
				p.cfg.Logger.Warn("pruning old receipts", "cause", err)
			}
		}
	}
}
