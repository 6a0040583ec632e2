package pgtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// Mode is how a server is stopped.
type Mode string

// The modes of pg_ctl stop.
const (
	Fast      Mode = "fast"      // connections are cut, everything is written
	Immediate Mode = "immediate" // as a crash: the next start recovers from the log
)

// Option changes how Start runs a server.
type Option func(*options)

type options struct {
	dir      string
	settings []string
}

// DataDir puts the server's files below dir, for example on a small tmpfs. The directory must
// exist, let every user pass (t.TempDir does not) and is not removed.
func DataDir(dir string) Option { return func(o *options) { o.dir = dir } }

// Setting sets a parameter of postgresql.conf.
func Setting(name, value string) Option {
	return func(o *options) { o.settings = append(o.settings, name+"="+value) }
}

// Server is a running PostgreSQL of the test's own. Its methods may be called from any goroutine,
// one at a time.
type Server struct {
	inst     installation
	base     string // holds data, log and out files; removed at the end
	data     string
	port     int
	password string
	settings []string
	watchdog *exec.Cmd
	// alive is the writing end of the watchdog's stdin. It must stay referenced: when it is
	// closed, by us or because this process died, the watchdog removes the server.
	alive *os.File
}

// Addr is the server's loopback address.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// DSN is the URL of a database on the server; "postgres" always exists.
func (s *Server) DSN(db string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", s.password),
		Host: s.Addr(), Path: "/" + db, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Start starts a stopped server and returns when it answers.
func (s *Server) Start() error {
	opts := []string{"-p " + strconv.Itoa(s.port), "-h 127.0.0.1", "-k ''"}
	for _, setting := range s.settings {
		opts = append(opts, "-c "+setting)
	}
	err := s.inst.run(s.base, "pg_ctl", "start", "-w", "-t", "60", "-D", s.data,
		"-l", filepath.Join(s.base, "log"), "-o", strings.Join(opts, " "))
	if err != nil {
		return fmt.Errorf("%w\nserver log: %s", err, tail(filepath.Join(s.base, "log")))
	}
	return nil
}

// Stop stops the server and returns when it is gone.
func (s *Server) Stop(mode Mode) error {
	return s.inst.run(s.base, "pg_ctl", "stop", "-w", "-t", "60", "-D", s.data, "-m", string(mode))
}

// Restart stops the server and starts it again on the same address.
func (s *Server) Restart(mode Mode) error {
	if err := s.Stop(mode); err != nil {
		return err
	}
	return s.Start()
}

// Pause freezes the server and all its processes: connections stay open and nothing answers.
func (s *Server) Pause() error { return s.signal(syscall.SIGSTOP) }

// Resume ends Pause.
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT) }

// signal reaches the postmaster before its children, so that a pause leaves no new one behind.
func (s *Server) signal(sig syscall.Signal) error {
	b, err := os.ReadFile(filepath.Join(s.data, "postmaster.pid"))
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, sig); err != nil {
		return err
	}
	b, err = os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return err
	}
	for child := range strings.FieldsSeq(string(b)) {
		pid, err := strconv.Atoi(child)
		if err != nil {
			return err
		}
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// launch makes a data directory and starts a server in it.
func launch(inst installation, o options) (*Server, error) {
	base, err := os.MkdirTemp(o.dir, "tidemark-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{
		inst: inst, base: base, data: filepath.Join(base, "data"),
		password: rand.Text(), settings: o.settings,
	}
	if err := s.guard(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(base))
	}
	if err := s.initialise(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *Server) initialise() error {
	if c := s.inst.cred; c != nil {
		if err := os.Chown(s.base, int(c.Uid), int(c.Gid)); err != nil {
			return err
		}
	}
	secret := filepath.Join(s.base, "secret")
	if err := os.WriteFile(secret, []byte(s.password+"\n"), 0o600); err != nil {
		return err
	}
	if c := s.inst.cred; c != nil {
		if err := os.Chown(secret, int(c.Uid), int(c.Gid)); err != nil {
			return err
		}
	}
	err := s.inst.run(s.base, "initdb", "-D", s.data, "-U", "postgres", "-E", "UTF8", "--locale=C",
		"--auth=password", "--pwfile="+secret, "--no-sync")
	if err != nil {
		return err
	}
	// The port is free when it is chosen; somebody else may take it before the server does.
	for range 5 {
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.Start(); err == nil {
			return nil
		}
	}
	return err
}

func freePort() (int, error) {
	l, err := proctest.Listen()
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// watch waits until its stdin closes, then stops the server however it stands and removes its
// files. SIGCONT comes last: a paused process acts on SIGQUIT only once it runs again.
const watch = `
cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
	all="$pid $(cat "/proc/$pid/task/$pid/children" 2>/dev/null)"
	kill -QUIT $pid 2>/dev/null
	kill -CONT $all 2>/dev/null
	n=0
	while kill -0 $pid 2>/dev/null && [ $n -lt 100 ]; do sleep 0.05; n=$((n+1)); done
fi
rm -rf "$1"
`

// guard starts the watchdog, in a session of its own so that an interrupt at the terminal ends the
// test binary and not the watchdog.
func (s *Server) guard() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	s.watchdog = exec.Command("/bin/sh", "-c", watch, "pgtest", s.base)
	s.watchdog.Stdin = r
	s.watchdog.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := s.watchdog.Start(); err != nil {
		return errors.Join(err, w.Close())
	}
	s.alive = w
	return nil
}

// close lets the watchdog remove the server and waits for it.
func (s *Server) close() error {
	return errors.Join(s.alive.Close(), s.watchdog.Wait())
}
