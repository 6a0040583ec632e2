package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
)

// slow clients are cut off by these; bodies have a deadline of their own at the doors.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	headerBytes   = 64 << 10
)

// checkAddress finds a taken address before anything is opened or migrated. The address is let go again: nobody
// is to wait at a door that is not served yet.
func (a *App) checkAddress(ctx context.Context) error {
	if a.opt.Host != nil {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Web.ListenAddress)
	if err == nil {
		return l.Close()
	}
	if inUse(a.cfg.Data.Dir) { // by the same service, started twice
		return &inUseError{a.cfg.Data.Dir}
	}
	return cannotListen(err)
}

func cannotListen(err error) error {
	return fmt.Errorf("listening: %w; choose another address with --web.listen-address", err)
}

// listen opens the address, and a socket in the data directory for whoever owns that directory:
// the whole API with every scope, for the command line, and profiles.
func (a *App) listen(ctx context.Context) error {
	if err := a.refuseOpenDoor(); err != nil {
		return err
	}
	if a.opt.Host != nil {
		return a.listenAdmin(ctx)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Web.ListenAddress)
	if err != nil {
		return cannotListen(err)
	}
	a.addr = l.Addr()
	a.serve(l, a.door, "web server")
	return a.listenAdmin(ctx)
}

func (a *App) serve(l net.Listener, h http.Handler, what string) {
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes,
		WriteTimeout: time.Duration(max(a.cfg.Database.QueryTimeout, a.cfg.Alerts.API.Timeout)) + 30*time.Second,
		ErrorLog:     newHTTPLog(a.logger),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.fail(fmt.Errorf("%s: %w", what, err))
		}
	}()
	a.started(what, func(ctx context.Context) error {
		patient, cancel := half(ctx)
		defer cancel()
		err := s.Shutdown(patient)
		if errors.Is(err, context.DeadlineExceeded) {
			a.logger.Warn("requests that had not ended are cut off", "at", what)
			err = s.Close()
		}
		<-ended
		return err
	})
}

// half ends when half of the time until ctx does has passed: who is slow leaves time for those that stop later.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}

// adminSocket is where the command line reaches a running service.
func adminSocket(dir string) string { return filepath.Join(dir, "admin.sock") }

func (a *App) listenAdmin(ctx context.Context) error {
	path := adminSocket(a.cfg.Data.Dir)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the last run's socket: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil { // a path too long for a socket must not keep the service from running
		a.logger.Warn("no admin socket: tidemark keys works only while the service is stopped, or over HTTP", "cause", err)
		return nil
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, l.Close())
	}
	admin := http.NewServeMux()
	admin.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.door.ServeHTTP(w, r.WithContext(access.WithLocalAdmin(r.Context())))
	})
	admin.HandleFunc(databasePath, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, databaseID(a.cfg)) })
	admin.HandleFunc("/debug/pprof/", pprof.Index)
	admin.HandleFunc("/debug/pprof/profile", pprof.Profile)
	admin.HandleFunc("/debug/pprof/trace", pprof.Trace)
	a.serve(l, admin, "admin socket")
	return nil
}

// refuseOpenDoor keeps a service without keys on loopback, and out of a host that does not say
// that it lets nobody in.
func (a *App) refuseOpenDoor() error {
	if a.access.Any() || !a.access.Known() {
		return nil
	}
	if h := a.opt.Host; h != nil && !h.Trusted {
		return fmt.Errorf("no access keys are configured, so everybody who reaches the host's handler could read and change everything. "+
			"Create a key first: tidemark keys create my-app --scope admin --data.dir %s, or let the host decide who may call (Trusted)", a.cfg.Data.Dir)
	}
	if a.opt.Host != nil || a.cfg.Web.onLoopback() {
		return nil
	}
	return fmt.Errorf("no access keys are configured, so everybody who reaches %s could read and change everything. "+
		"Create a key first: tidemark keys create my-app --scope admin --data.dir %s (with the same --database.url), "+
		"or listen on 127.0.0.1", a.cfg.Web.ListenAddress, a.cfg.Data.Dir)
}

func (w *Web) onLoopback() bool {
	host, _, err := net.SplitHostPort(w.ListenAddress)
	if err != nil || host == "localhost" {
		return err == nil
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// fail reports an error that the service cannot survive; the first one counts.
func (a *App) fail(err error) {
	select {
	case a.failed <- err:
	default:
	}
}

// Greeting tells a new user where to look and what to type, after Start.
func (a *App) Greeting() string { return greeting(a.addr, a.cfg.Data.Dir, a.access.Any()) }

func greeting(at net.Addr, dir string, keys bool) string {
	url, curl := "http://"+at.String(), "curl -s"
	if tcp, ok := at.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		url = fmt.Sprintf("http://127.0.0.1:%d", tcp.Port)
	}
	if keys {
		curl += " -H 'Authorization: Bearer KEY'"
	}
	return fmt.Sprintf(`
Tidemark serves %[1]s and keeps its data in %[2]s

Send an event:
  %[3]s %[1]s/api/analytics/track -H 'Content-Type: application/json' -d '{"event": "hello", "properties": {"who": "me"}}'
See it come back:
  %[3]s %[1]s/api/analytics/events/recent
What became of everything:
  %[3]s %[1]s/api/analytics/ledger
What is wrong, if anything:
  %[3]s %[1]s/api/analytics/alerts
Metrics: %[1]s/metrics   API: %[1]s/api/openapi.json

`, url, dir, curl)
}
