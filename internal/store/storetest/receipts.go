package storetest

import (
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func receiptStories() []story {
	return []story{
		{"the life of an id", lifeOfID},
		{"old receipts are pruned", pruned},
	}
}

func (b *bench) wantReceipt(id string, status store.Status, reason string) {
	b.Helper()
	r, err := b.store.Receipt(b.Context(), id)
	b.ok(err)
	if r.EventID != id || r.Status != status || r.Reason != reason || r.At.IsZero() {
		b.Errorf("receipt %+v, want %s %q", r, status, reason)
	}
}

func lifeOfID(b *bench) {
	_, err := b.store.Receipt(b.Context(), "a")
	b.wantKind(err, errs.NotFound)
	b.commitBatch(store.Batch{Receipts: []store.Receipt{
		{EventID: "a", Status: store.StatusRejected, Reason: "invalid", At: epoch},
		{EventID: "a", Status: store.StatusRejected, Reason: "too_large", At: epoch.Add(time.Second)},
	}})
	b.wantReceipt("a", store.StatusRejected, "too_large")
	b.clock.advance(time.Minute)
	b.commitBatch(store.Batch{Dead: []store.DeadLetter{{EventID: "a", Reason: event.ReasonStoreRefused, At: b.clock.Now()}}})
	b.wantReceipt("a", store.StatusDeadLettered, "store_refused")
	b.commit(at("a", 0))
	b.wantReceipt("a", store.StatusStored, "")
	b.commit(at("a", 0))
	b.wantReceipt("a", store.StatusStored, "")
	b.clock.advance(time.Minute)
	b.ok(b.store.Delete(b.Context(), "a"))
	b.wantReceipt("a", store.StatusStored, "deleted")
	b.clock.advance(time.Minute)
	b.commit(at("a", 0))
	b.wantReceipt("a", store.StatusDuplicate, "")
	_, err = b.store.Receipt(b.Context(), "b")
	b.wantKind(err, errs.NotFound)
}

func pruned(b *bench) {
	b.commitBatch(store.Batch{
		Receipts: []store.Receipt{
			{EventID: "old", Status: store.StatusRejected, At: epoch},
			{EventID: "new", Status: store.StatusRejected, At: epoch.Add(time.Hour)},
		},
		Dead:   []store.DeadLetter{{EventID: "dead", At: epoch}},
		Events: []event.Event{at("stored", 0)},
	})
	b.ok(b.store.Prune(b.Context(), epoch.Add(time.Hour)))
	_, err := b.store.Receipt(b.Context(), "old")
	b.wantKind(err, errs.NotFound)
	b.wantReceipt("new", store.StatusRejected, "")
	b.wantReceipt("dead", store.StatusDeadLettered, "invalid")
	b.wantReceipt("stored", store.StatusStored, "")
}
