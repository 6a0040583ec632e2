package journal

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// scripted is a JetStream that answers by the book: one answer for each question.
type scripted struct {
	jetstream.JetStream
	t     *testing.T
	steps []step
}

type step struct {
	create bool   // the stream is to be made, not looked up
	id     string // of the stream that there is; empty = err
	err    error
}

func (j *scripted) next(ctx context.Context, create bool) (jetstream.Stream, error) {
	j.t.Helper()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	s := j.steps[0]
	if len(j.steps) > 1 { // the last one for ever
		j.steps = j.steps[1:]
	}
	if s.create != create {
		j.t.Fatalf("asked to make the stream: %v, want %v", create, s.create)
	}
	if s.err != nil {
		return nil, s.err
	}
	return known{id: s.id}, nil
}

func (j *scripted) Stream(ctx context.Context, _ string) (jetstream.Stream, error) {
	return j.next(ctx, false)
}

func (j *scripted) CreateStream(ctx context.Context, _ jetstream.StreamConfig) (jetstream.Stream, error) {
	return j.next(ctx, true)
}

// known is a stream of which the id is known.
type known struct {
	jetstream.Stream
	id string
}

func (k known) CachedInfo() *jetstream.StreamInfo {
	return &jetstream.StreamInfo{Config: jetstream.StreamConfig{Metadata: map[string]string{metaStreamID: k.id}}}
}

func TestOpenStream(t *testing.T) {
	none := jetstream.ErrStreamNotFound
	api := func(code jetstream.ErrorCode) error { return &jetstream.APIError{Code: 500, ErrorCode: code} }
	notMade, limit := api(codeNotMade), api(codeAccountLimit)
	for _, test := range []struct {
		name  string
		steps []step
		id    string
		err   error
	}{
		{"is there", []step{{false, "old", nil}}, "old", nil},
		{"is made", []step{{false, "", none}, {true, "new", nil}}, "new", nil},
		{"another process was first", []step{{false, "", none}, {true, "", jetstream.ErrStreamNameAlreadyInUse}, {false, "other", nil}}, "other", nil},
		{"cannot be made just now", []step{{false, "", none}, {true, "", notMade}, {false, "", none}, {true, "new", nil}}, "new", nil},
		{"no leader just now", []step{{false, "", api(codeNotLeader)}, {false, "", api(codeNotAvailable)}, {false, "old", nil}}, "old", nil},
		{"an attempt is taken back", []step{{false, "", none}, {true, "", notMade}, {false, "new", nil}, {false, "", none}, {true, "new", nil}}, "new", nil},
		{"cannot be had for long", []step{{false, "", none}, {true, "", notMade}, {false, "", notMade}}, "", notMade},
		{"cannot be made ever", []step{{false, "", none}, {true, "", limit}}, "", limit},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				want := jetstream.StreamConfig{Metadata: map[string]string{metaStreamID: "new"}}
				js := &scripted{t: t, steps: test.steps}
				s, err := openStream(ctx, slog.New(slog.DiscardHandler), js, want)
				if !errors.Is(err, test.err) {
					t.Fatalf("got %v, want %v", err, test.err)
				}
				if err == nil && identity(s.CachedInfo()) != test.id {
					t.Fatalf("got stream %s, want %s", identity(s.CachedInfo()), test.id)
				}
				if err == nil && len(js.steps) != 1 {
					t.Fatalf("%d questions were left out", len(js.steps)-1)
				}
			})
		})
	}
}
