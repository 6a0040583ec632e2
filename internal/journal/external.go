package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// duplicateWindow is how long an external JetStream recognises a message sent again. It must be
// longer than any append may take.
const duplicateWindow = 2 * time.Minute

// external is a JetStream server or cluster of somebody else's. Other processes write to it too.
type external struct {
	cfg Config
	log *slog.Logger
	nc  *nats.Conn
}

func newExternal(cfg Config) (*external, error) {
	for _, one := range strings.Split(cfg.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Host == "" || (u.Scheme != "nats" && u.Scheme != "tls") {
			return nil, errs.New(errs.Invalid, "journal: the URL must be nats://host:port or tls://host:port, several separated by commas")
		}
	}
	if 2*cfg.AppendTimeout > duplicateWindow {
		return nil, errs.New(errs.Invalid, fmt.Sprintf("journal: an append may take at most %v", duplicateWindow/2))
	}
	return &external{cfg: cfg, log: cfg.Logger}, nil
}

func (x *external) connect(ctx context.Context) (*nats.Conn, error) {
	if x.nc != nil && !x.nc.IsClosed() {
		return x.nc, nil // it reconnects by itself, for ever
	}
	nc, err := nats.Connect(x.cfg.URL, x.options(ctx)...)
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, "journal: connecting to NATS", redact(err, x.cfg.URL))
	}
	x.nc = nc
	x.log.Info("connected to NATS", "server", nc.ConnectedServerName(), "cluster", nc.ConnectedClusterName())
	return nc, nil
}

func (x *external) options(ctx context.Context) []nats.Option {
	timeout := x.cfg.AppendTimeout
	if end, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(end))
	}
	return []nats.Option{
		nats.Name("tidemark journal " + x.cfg.Writer),
		nats.Timeout(timeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.ReconnectBufSize(-1), // what cannot be sent now is not to be sent when nobody waits for it
		nats.FlusherTimeout(x.cfg.AppendTimeout),
		nats.PingInterval(5 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				x.log.Warn("disconnected from NATS", "error", redact(err, x.cfg.URL))
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			x.log.Info("connected to NATS again", "server", nc.ConnectedServerName())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			x.log.Warn("NATS reports an error", "error", redact(err, x.cfg.URL))
		}),
	}
}

// create makes the stream with three replicas in a cluster and with one on a single server,
// unless it is configured how many.
func (x *external) create(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	want := streamConfig(x.cfg.MaxBytes, x.cfg.Replicas, duplicateWindow)
	if x.cfg.Replicas > 0 {
		return openStream(ctx, x.log, js, want)
	}
	want.Replicas = 3
	s, err := openStream(ctx, x.log, js, want)
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeNotClustered {
		x.log.Warn("the journal is kept by one NATS server only, which is not a cluster")
		want.Replicas = 1
		return openStream(ctx, x.log, js, want)
	}
	return s, err
}

func (x *external) adopt(_ context.Context, _ jetstream.JetStream, info *jetstream.StreamInfo) error {
	if fault := unsafe(&info.Config, 2*x.cfg.AppendTimeout); fault != "" {
		return errUnsafe(fault)
	}
	return nil
}

func (x *external) check() error       { return nil }
func (x *external) room(int) error     { return nil }
func (x *external) roomToPurge() error { return nil }
func (x *external) settle() error      { return nil }
func (x *external) exclusive() bool    { return false }

func (x *external) close() {
	if x.nc != nil {
		x.nc.Close()
	}
}

// redact returns err without the credentials that a URL may hold.
func redact(err error, urls string) error {
	text := err.Error()
	for _, one := range strings.Split(urls, ",") {
		u, perr := url.Parse(strings.TrimSpace(one))
		if perr != nil || u.User == nil {
			continue
		}
		text = strings.ReplaceAll(text, u.User.String()+"@", "")
		if password, ok := u.User.Password(); ok && password != "" {
			text = strings.ReplaceAll(text, password, "…")
		} else if name := u.User.Username(); name != "" {
			text = strings.ReplaceAll(text, name, "…") // a lone user is a token
		}
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}
