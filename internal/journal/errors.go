package journal

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// How long clients are asked to wait. A full journal drains at the database's pace, a broken
// disk at an operator's.
const (
	retryFull   = 5 * time.Second
	retryBroken = 10 * time.Second
)

func overloaded(detail string, cause error) error {
	return &errs.Error{Kind: errs.Overloaded, Detail: detail, RetryAfter: retryFull, Err: cause}
}

func unavailable(detail string, cause error) error {
	return &errs.Error{Kind: errs.Unavailable, Detail: detail, RetryAfter: retryBroken, Err: cause}
}

func errBusy() error { return overloaded("the journal has more waiting than it can write", nil) }

func errClosed() error { return unavailable("the journal is closed", nil) }

func errFull(cause error) error {
	return overloaded("the journal is full: the database does not take events as fast as they come", cause)
}

func errTooOld() error {
	return overloaded("the journal holds events that have waited for the database longer than journal.max_age", nil)
}

func errDiskReserve() error {
	return overloaded("the disk of the journal is nearly full: less than journal.min_free_bytes is left", nil)
}

func errUnconfirmed(cause error) error {
	return unavailable("the journal did not confirm in time that the events are on disk", cause)
}

func errMissing(cause error) error {
	return unavailable("journal: acknowledged messages are missing", cause)
}

func errEntryTooLarge() error {
	return errs.New(errs.TooLarge, "the request is larger than one journal message may be")
}

// Codes of JetStream's API errors that the client package does not name.
const (
	codeAccountLimit  jetstream.ErrorCode = 10002
	codeNotAvailable  jetstream.ErrorCode = 10008
	codeNotLeader     jetstream.ErrorCode = 10009
	codeServerLimit   jetstream.ErrorCode = 10023
	codeStorageLimit  jetstream.ErrorCode = 10047
	codeNotMade       jetstream.ErrorCode = 10049
	codeTooLarge      jetstream.ErrorCode = 10054
	codeNotClustered  jetstream.ErrorCode = 10074
	codeStoreRefused  jetstream.ErrorCode = 10077
	storeRefusedBytes                     = "maximum bytes exceeded"
	storeRefusedCount                     = "maximum messages exceeded"
)

// refusal returns the answer for a publish that JetStream certainly did not store, nil when err
// leaves open whether it did.
func refusal(err error) error {
	if errors.Is(err, nats.ErrMaxPayload) {
		return errEntryTooLarge()
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return nil
	}
	switch api.ErrorCode {
	case codeTooLarge:
		return errEntryTooLarge()
	case codeAccountLimit, codeServerLimit, codeStorageLimit:
		return errFull(err)
	case codeStoreRefused:
		if strings.Contains(api.Description, storeRefusedBytes) || strings.Contains(api.Description, storeRefusedCount) {
			return errFull(err)
		}
	}
	return nil
}

// passing tells whether a stream that could not be opened may be opened a moment later.
func passing(err error) bool {
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return true // another process made it since
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode {
	case codeNotAvailable, codeNotLeader, codeNotMade:
		return true
	}
	return false
}

// cause prefers the reason a context was ended for over the bare fact.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil && c != ctx.Err() {
		return c
	}
	return err
}
