package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// The one stream and its one subject.
const (
	streamName = "TIDEMARK"
	subject    = "tidemark.journal"

	metaStreamID = "tidemark.stream_id"
)

// How long to wait before JetStream is asked again for a stream that it could not make.
const (
	openFirst  = 50 * time.Millisecond
	openAtMost = time.Second
)

// streamConfig is what the stream must be like: it refuses when full and forgets nothing by itself.
func streamConfig(maxBytes int64, replicas int, duplicates time.Duration) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        streamName,
		Description: "Tidemark's journal: events accepted and not yet stored",
		Subjects:    []string{subject},
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew,
		Storage:     jetstream.FileStorage,
		MaxMsgs:     -1,
		MaxBytes:    maxBytes,
		Duplicates:  duplicates,
		Replicas:    replicas,
		Metadata:    map[string]string{metaStreamID: uuid.NewString()},
	}
}

// openStream returns the stream as it is, and makes it where there is none. Two processes may do so
// at the same moment. What JetStream cannot do just now is tried again until ctx ends: while a
// server clears away what is left of a stream, it may fail to make the next one.
func openStream(ctx context.Context, log *slog.Logger, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	var failed error // why the last attempt came to nothing
	for wait := openFirst; ; wait = min(2*wait, openAtMost) {
		s, err := js.Stream(ctx, streamName)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			s, err = js.CreateStream(ctx, want)
		case err == nil && failed != nil && identity(s.CachedInfo()) == want.Metadata[metaStreamID]:
			err = failed // a cluster is about to take back what there is of our attempt
		}
		if failed != nil && err != nil && ctx.Err() != nil {
			return nil, failed // it says more than that the time is up
		}
		if !passing(err) {
			return s, err
		}
		if failed == nil {
			log.Warn("JetStream cannot open the stream just now", "error", err)
		}
		failed = err
		pause(ctx, wait, nil)
	}
}

// unsafe names what in a stream's configuration would lose or change events; empty = nothing.
func unsafe(c *jetstream.StreamConfig, window time.Duration) string {
	for _, rule := range []struct {
		broken bool
		fault  string
	}{
		{len(c.Subjects) != 1 || c.Subjects[0] != subject, "its subjects must be " + subject + " alone"},
		{c.Retention != jetstream.LimitsPolicy, "its retention must be limits"},
		{c.Discard != jetstream.DiscardNew, "it must discard new messages when full, not old ones"},
		{c.Storage != jetstream.FileStorage, "its storage must be file"},
		{c.PersistMode == jetstream.AsyncPersistMode, "its persist mode must not be async"},
		{c.MaxAge != 0, "it must not expire messages by age"},
		{c.MaxMsgsPerSubject > 0, "it must not limit messages per subject"},
		{c.AllowMsgTTL, "it must not allow messages to expire"},
		{c.AllowRollup, "it must not allow roll-ups"},
		{c.AllowMsgCounter, "it must not be a counter"},
		{c.NoAck, "it must acknowledge messages"},
		{c.Sealed, "it must not be sealed"},
		{c.DenyPurge, "it must allow purging"},
		{c.Mirror != nil || len(c.Sources) > 0, "it must not mirror or source other streams"},
		{c.SubjectTransform != nil, "it must not transform subjects"},
		{c.Duplicates < window, fmt.Sprintf("its duplicate window must be at least %v", window)},
	} {
		if rule.broken {
			return rule.fault
		}
	}
	return ""
}

// identity is the id of a stream: of its metadata, or for a stream that somebody else made,
// one that follows from the moment it was made.
func identity(info *jetstream.StreamInfo) string {
	if id := info.Config.Metadata[metaStreamID]; id != "" {
		return id
	}
	made := info.Config.Name + "@" + info.Created.UTC().Format(time.RFC3339Nano)
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(made)).String()
}

// errUnsafe is the refusal to use a stream.
func errUnsafe(fault string) error {
	return errs.New(errs.Invalid, "journal: the JetStream stream "+streamName+" would lose events: "+fault)
}

// errOpening explains why the stream cannot be used.
func errOpening(err error) error {
	detail := "journal: opening the JetStream stream " + streamName
	if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		detail = "journal: JetStream is not enabled on the server or for this account"
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && strings.Contains(api.Description, "no suitable peers") {
		detail = "journal: the cluster cannot place the replicas of stream " + streamName + "; start its other servers or configure fewer replicas"
	}
	return errs.Wrap(errs.Unavailable, detail, err)
}
