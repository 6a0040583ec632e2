package journal

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

const (
	serverName = "tidemark"
	account    = "$G" // the account of a server without accounts

	// embeddedPayload is the largest message of the embedded server: room for any request the
	// doors let in.
	embeddedPayload = 8 << 20

	// embeddedDuplicates is the shortest window JetStream takes. The embedded one is asked by
	// position instead, and need not remember ids.
	embeddedDuplicates = 100 * time.Millisecond

	// readyTimeout is how long the server may take once it has started. The start itself, which
	// may have to read a long journal through, takes as long as it takes.
	readyTimeout = 5 * time.Second

	healthTries = 100 // each takes a millisecond at least when it is of no use
)

// embedded is a JetStream server inside this process, reached without a network.
type embedded struct {
	cfg  Config
	log  *slog.Logger
	disk *volume
	kick func() // told when the server logs an error
	srv  *server.Server
	nc   *nats.Conn
}

func newEmbedded(cfg Config, kick func()) *embedded {
	msgs := filepath.Join(cfg.Dir, "jetstream", account, "streams", streamName, "msgs")
	return &embedded{cfg: cfg, log: cfg.Logger, kick: kick, disk: newVolume(cfg.Dir, msgs, cfg.MinFree)}
}

// connect starts the server, once the disk can be written and what the files hold is truly on
// it. Until then the one before, broken as it is, can still be read.
func (m *embedded) connect(context.Context) (*nats.Conn, error) {
	if err := m.disk.writable(); err != nil {
		return nil, errs.Wrap(errs.Unavailable, "journal: the disk cannot be written", err)
	}
	m.close()
	if err := m.disk.renew(); err != nil {
		return nil, errs.Wrap(errs.Unavailable, "journal: the disk cannot be written", err)
	}
	logger := &serverLog{log: m.log, onError: m.kick}
	srv, err := server.NewServer(m.options())
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, "journal: starting the embedded JetStream", err)
	}
	srv.SetLoggerV2(logger, false, false, false)
	srv.Start()
	m.srv = srv
	if !srv.ReadyForConnections(readyTimeout) || !srv.JetStreamEnabled() {
		m.close()
		return nil, errs.Wrap(errs.Unavailable, "journal: starting the embedded JetStream", logger.fatal())
	}
	nc, err := nats.Connect("", nats.InProcessServer(srv), nats.Name("tidemark journal"),
		nats.NoReconnect(), nats.Timeout(m.cfg.AppendTimeout))
	if err != nil {
		m.close()
		return nil, errs.Wrap(errs.Unavailable, "journal: connecting to the embedded JetStream", err)
	}
	m.nc = nc
	return nc, nil
}

func (m *embedded) options() *server.Options {
	return &server.Options{
		ServerName:         serverName,
		DontListen:         true,
		NoSigs:             true,
		MaxPayload:         embeddedPayload,
		JetStream:          true,
		StoreDir:           m.cfg.Dir,
		SyncAlways:         true,
		JetStreamMaxMemory: 16 << 20,                 // for consumers' state only
		JetStreamMaxStore:  2*m.cfg.MaxBytes + 1<<30, // the stream's own bound is the one that counts
	}
}

func (m *embedded) create(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	return openStream(ctx, m.log, js, streamConfig(m.cfg.MaxBytes, 1, embeddedDuplicates))
}

// adopt brings the bound of an older stream to the configured one, and makes sure that the
// directories of a new one are on disk.
func (m *embedded) adopt(ctx context.Context, js jetstream.JetStream, info *jetstream.StreamInfo) error {
	if fault := unsafe(&info.Config, 0); fault != "" {
		return errUnsafe(fault)
	}
	if info.Config.MaxBytes != m.cfg.MaxBytes {
		c := info.Config
		c.MaxBytes = m.cfg.MaxBytes
		if _, err := js.UpdateStream(ctx, c); err != nil {
			return fmt.Errorf("changing the bound of the stream: %w", err)
		}
	}
	return m.disk.syncTree()
}

// check asks the server whether it could write all it was given.
func (m *embedded) check() error {
	return judge(func() *server.HealthStatus {
		return m.srv.Healthz(&server.HealthzOptions{Account: account, Stream: streamName})
	})
}

// judge asks until the server speaks of the stream. It first looks whether it is ready, which it is
// since it has started, and gives that a millisecond: on a busy machine it may say that it is not.
func judge(ask func() *server.HealthStatus) error {
	var health *server.HealthStatus
	for range healthTries {
		health = ask()
		if health == nil || health.Error == "" {
			return nil
		}
		if health.StatusCode != http.StatusInternalServerError { // which means: not ready
			break
		}
	}
	return fmt.Errorf("embedded JetStream: %s", health.Error)
}

func (m *embedded) room(n int) error   { return m.disk.room(n) }
func (m *embedded) roomToPurge() error { return m.disk.roomToPurge() }
func (m *embedded) settle() error      { return m.disk.syncNewFiles() }
func (m *embedded) exclusive() bool    { return true }

// forget removes what a broken server notes of the stream when it ends. That may count a message
// which is not in the files: the next server would leave a gap for it, at which readers end, and
// which looks as if something acknowledged were missing.
func (m *embedded) forget() {
	if err := m.disk.removeIndex(); err != nil {
		m.log.Warn("what the journal's broken server noted cannot be removed", "error", err)
	}
}

func (m *embedded) close() {
	if m.nc != nil {
		m.nc.Close()
		m.nc = nil
	}
	if m.srv != nil {
		broken := m.srv.JetStreamEnabled() && m.check() != nil
		m.srv.Shutdown()
		m.srv.WaitForShutdown()
		m.srv = nil
		if broken {
			m.forget()
		}
	}
}
