//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/httpapi"
	"github.com/tidemark-obs/tidemark/internal/ingest"
	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/perf"
	"github.com/tidemark-obs/tidemark/internal/settings"
)

// bareArgument makes this program the door without a journal.
const bareArgument = "serve-without-journal"

// bare measures single events by the clock at the service's own door with nothing behind it: the
// same server, decoder and pipeline in a process of their own, over a journal that forgets. What
// the real one takes longer is the price of the promise.
func (r *running) bare(ctx context.Context) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, bareArgument)
	alive, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p, err := startProcess(cmd, filepath.Join(r.dir, "bare.log"))
	if err != nil {
		return errors.Join(err, alive.Close())
	}
	defer func() { err = errors.Join(err, alive.Close(), p.stop()) }() // it ends with its stdin
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the door without a journal: %w\n%s", err, p.said())
	}
	l := byTheClock(r.plan.Latency)
	l.addr = strings.TrimSpace(addr)
	var counted atomic.Int64
	return r.during(r.Database+": single events by the clock, without a journal", func() error {
		out, err := send(ctx, l, &counted)
		r.Bare = quantilesOf(latencies(out.Took))
		return err
	}, func() string { return fmt.Sprintf("%d accepted", counted.Load()) })
}

// serveBare serves the door without a journal, says where, and ends when its parent does.
func serveBare(parent io.Reader, stdout io.Writer) error {
	api, err := bareDoor()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &http.Server{Handler: api.Handler(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	_, err = fmt.Fprintln(stdout, l.Addr())
	if err == nil {
		_, err = io.Copy(io.Discard, parent)
	}
	err = errors.Join(err, s.Close())
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return errors.Join(err, api.Close(context.Background()))
}

// bareDoor makes the service's server with what a single event needs; nothing else is asked of it.
func bareDoor() (*httpapi.Server, error) {
	logger := slog.New(slog.DiscardHandler)
	operations, err := perf.NewOperations(perf.Config{Logger: logger})
	if err != nil {
		return nil, err
	}
	unchanged := settings.Defaults()
	current := func() settings.Settings { return unchanged }
	return httpapi.New(httpapi.Deps{
		Intake: ingest.New(ingest.Config{
			Log: &forgetful{}, Settings: current, Logger: logger, Now: time.Now, Bounds: ingest.Bounds{Events: 10_000, Bytes: 8 << 20},
		}),
		Decoder:    eventjson.NewDecoder(eventjson.Options{Limits: event.DefaultLimits(), Sensitive: eventjson.DefaultSensitive()}),
		Access:     everybody{},
		Settings:   fixed{current: current},
		Operations: operations,
		Backlog:    struct{ httpapi.Backlog }{}, Accounts: struct{ httpapi.Accounts }{},
		Events: struct{ httpapi.Events }{}, Keys: struct{ httpapi.Keys }{}, System: struct{ httpapi.System }{},
		Alerts: struct{ httpapi.Alerts }{}, Silences: struct{ silences }{}, AlertHistory: struct{ history }{},
		Questions: struct{ httpapi.Questions }{}, Journeys: struct{ httpapi.Journeys }{}, SQL: struct{ httpapi.SQL }{},
		Archive: struct{ httpapi.Archive }{}, Erasures: struct{ httpapi.Erasures }{}, Upkeep: struct{ httpapi.Upkeep }{},
		Destinations:     struct{ destinations }{},
		ObserveOperation: func(context.Context, string, time.Duration) {},
		Reload:           func(context.Context) error { return nil }, Metrics: http.NotFoundHandler(),
		Logger: logger, Now: time.Now,
	})
}

// These have names of their own: a method of each has the interface's.
type (
	silences     = httpapi.Silences
	history      = httpapi.AlertHistory
	destinations = httpapi.Destinations
)

// forgetful is a journal that says yes at once and keeps nothing.
type forgetful struct {
	ingest.Log
	seq atomic.Uint64
}

func (f *forgetful) Append(context.Context, journal.Entry) (uint64, error) { return f.seq.Add(1), nil }

// everybody lets everybody in, as the service does without keys.
type everybody struct{}

func (everybody) Authorize(*http.Request, access.Scope) (access.Principal, error) {
	return access.Principal{}, nil
}

func (everybody) Admit(*http.Request, access.Principal, int) error { return nil }

// fixed are settings that do not change.
type fixed struct {
	httpapi.Settings
	current func() settings.Settings
}

func (f fixed) Current() settings.Settings { return f.current() }
