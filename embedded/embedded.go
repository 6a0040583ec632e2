package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/app"
)

// Config is what a Service is made of. The zero Config keeps its data in ./data, on the embedded
// database, and starts once there are access keys.
type Config struct {
	// ConfigFile is a YAML file as the program tidemark reads it; "" = the defaults. What it says
	// of where to listen, of logging and of the shutdown's time is the host's to decide.
	ConfigFile string
	// DataDir is where everything embedded is kept; "" = as the file says, else ./data. One service
	// at a time may use it.
	DataDir string
	// DatabaseURL is postgres://user@host/name; "" = as the file says, else the embedded database.
	DatabaseURL string
	// Instance names the service in the label instance of its own metrics; "" = the host's name.
	Instance string
	// Trusted says that whoever reaches Handler may do everything, because the host lets in nobody
	// else. Without it access keys decide, and a service without any does not start.
	Trusted bool
	// Logger gets the log; nil = slog.Default().
	Logger *slog.Logger
}

// Service is a running service.
type Service struct {
	app  *app.App
	own  *http.Server // behind Transport
	line *line

	stop   sync.Once
	result error
}

// Start runs the service. ctx bounds the start only.
func Start(ctx context.Context, c Config) (*Service, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Instance == "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("naming the service: %w; give it an Instance", err)
		}
		c.Instance = name
	}
	cfg, err := c.read()
	if err != nil {
		return nil, err
	}
	a, err := app.New(cfg, app.Options{
		Log: io.Discard, Config: c.read,
		Host: &app.Host{Logger: c.Logger, Instance: c.Instance, Trusted: c.Trusted},
	})
	if err != nil {
		return nil, err
	}
	if err := a.Start(ctx); err != nil {
		return nil, err
	}
	s := &Service{app: a, line: newLine()}
	s.own = &http.Server{
		Handler:  http.HandlerFunc(s.serveOwn),
		ErrorLog: slog.NewLogLogger(c.Logger.Handler(), slog.LevelWarn),
	}
	go func() { _ = s.own.Serve(s.line) }() // ends with Shutdown, and has no other end
	return s, nil
}

// read joins the defaults, the file and what the host says.
func (c *Config) read() (app.Config, error) {
	cfg := app.Default()
	if c.ConfigFile != "" {
		if err := cfg.ReadFile(c.ConfigFile); err != nil {
			return cfg, err
		}
	}
	if c.DataDir != "" {
		cfg.Data.Dir = c.DataDir
	}
	if c.DatabaseURL != "" {
		cfg.Database.URL, cfg.Database.URLFile = c.DatabaseURL, ""
	}
	return cfg, cfg.Check()
}

// Handler is the whole API: mount it under /api/analytics/, and under /metrics, /api/v1/ and /-/ where
// they are wanted. Paths are not to be stripped.
func (s *Service) Handler() http.Handler { return s.app.Handler() }

// Transport carries requests to the service without a port, for a client inside the host; the host
// and scheme of their URLs do not matter. It needs no key: the program it is in owns the service.
// Each call makes one with connections of its own: call it once for each client.
func (s *Service) Transport() http.RoundTripper {
	return &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return s.line.dial(ctx) },
		DisableCompression: true, MaxIdleConns: 4, MaxIdleConnsPerHost: 4,
	}
}

func (s *Service) serveOwn(w http.ResponseWriter, r *http.Request) {
	s.app.Handler().ServeHTTP(w, r.WithContext(access.WithLocalAdmin(r.Context())))
}

// Failed delivers the error that makes the service unable to go on; the host should stop it then.
func (s *Service) Failed() <-chan error { return s.app.Failed() }

// Reload reads the configuration file again and applies what can change at run time. A faulty file
// changes nothing.
func (s *Service) Reload(ctx context.Context) error { return s.app.Reload(ctx) }

// Stop stores what was accepted as far as ctx allows, and closes everything. The host's server
// should be shut down before it, so that no request is under way. Further calls return the same.
func (s *Service) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		err := s.own.Shutdown(ctx)
		if err != nil {
			err = errors.Join(err, s.own.Close())
		}
		s.result = errors.Join(err, s.app.Stop(ctx))
	})
	return s.result
}
