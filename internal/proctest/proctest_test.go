package proctest

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const limit = time.Minute

// recorder is a test whose end does not end this one.
type recorder struct {
	testing.TB
	said     strings.Builder
	cleanups []func()
	failed   bool
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Failed() bool     { return r.failed }
func (r *recorder) Logf(format string, args ...any) {
	fmt.Fprintf(&r.said, format+"\n", args...)
}
func (r *recorder) Errorf(format string, args ...any) { r.failed = true; r.Logf(format, args...) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// try runs part of a test to its end and returns what it complained of.
func try(t *testing.T, part func(testing.TB)) string {
	t.Helper()
	r, done := &recorder{TB: t}, make(chan struct{})
	go func() { defer close(done); part(r) }()
	<-done
	for _, f := range r.cleanups {
		f()
	}
	return r.said.String()
}

// lives greets with the number of its life, which is its exit code when it is asked to end.
const lives = `trap 'exit $0' TERM; echo "life $0 listens at <here $0>, $TIDEMARK_X$OTHER"; while :; do sleep 0.05; done`

var where = regexp.MustCompile(`<(.*)>`)

func TestLives(t *testing.T) {
	t.Setenv("TIDEMARK_X", "not inherited")
	p := New(t, "/bin/sh", "OTHER=given")
	if !p.Ended() {
		t.Error("it runs before it is started")
	}
	for _, life := range []string{"3", "4"} {
		p.Start("-c", lives, life)
		if at := p.Listens(where); at != "here "+life {
			t.Errorf("life %s listens at %q", life, at)
		}
		p.MustRun()
		if code := p.Stop(limit); fmt.Sprint(code) != life || !p.Ended() {
			t.Errorf("life %s ended with %d, %v", life, code, p.Ended())
		}
	}
	want := "life 3 listens at <here 3>, given\nlife 4 listens at <here 4>, given\n"
	if p.Said() != want {
		t.Errorf("it said %q, want %q", p.Said(), want)
	}
	p.Start("-c", lives, "5")
	p.Kill()
	if code := p.ExitCode(); code != -1 || !p.Ended() {
		t.Errorf("killed, exit code %d", code)
	}
}

func TestItIsGoneWhenTheTestEnds(t *testing.T) {
	var pid int
	if said := try(t, func(t testing.TB) {
		p := New(t, "/bin/sh")
		p.Start("-c", lives, "1")
		pid = p.Pid()
	}); said != "" {
		t.Error(said)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestFailuresAreToldWithWhatTheProgramSaid(t *testing.T) {
	for name, c := range map[string]struct {
		part func(testing.TB)
		want string
	}{
		"ended by itself": {func(t testing.TB) {
			p := New(t, "/bin/sh")
			p.Start("-c", "echo the reason; exit 7")
			p.Listens(where)
		}, "exit status 7\nthe end of what sh said:\nthe reason"},
		"does not end": {func(t testing.TB) {
			p := New(t, "/bin/sh")
			p.Start("-c", "trap '' TERM; echo '<deaf>'; while :; do sleep 0.05; done")
			p.Listens(where)
			p.Stop(time.Millisecond)
		}, "after SIGTERM\nthe end of what sh said:\n<deaf>"},
		"runs already": {func(t testing.TB) {
			p := New(t, "/bin/sh")
			p.Start("-c", lives, "1")
			p.Start("-c", lives, "2")
		}, "runs already"},
		"not in time": {func(t testing.TB) {
			Eventually(t, time.Millisecond, "the moon is blue", func() error { return errors.New("it is white") })
		}, "the moon is blue: not within 1ms: it is white"},
	} {
		t.Run(name, func(t *testing.T) {
			if said := try(t, c.part); !strings.Contains(said, c.want) {
				t.Errorf("it told %q, want %q", said, c.want)
			}
		})
	}
}

func TestFreeAddress(t *testing.T) {
	l, err := net.Listen("tcp", FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestBuildTellsWhatIsWrong(t *testing.T) {
	t.Setenv("GOFLAGS", "-nosuchflag")
	if err := Build(t.TempDir() + "/x"); err == nil || !strings.Contains(err.Error(), "nosuchflag") {
		t.Errorf("Build = %v", err)
	}
}
