package leaktest

import (
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines may take to end. None of ours takes as long by itself.
const patience = 15 * time.Second

// Main runs a package's tests, fails if they leave goroutines behind, and ends the process after the
// cleanups.
func Main(m *testing.M, cleanups ...func()) {
	goleak.VerifyTestMain(patient{m}, goleak.Cleanup(func(code int) {
		for _, f := range cleanups {
			f()
		}
		os.Exit(code)
	}))
}

// None fails a test that leaves goroutines behind.
func None(t goleak.TestingT, options ...goleak.Option) {
	wait(options...)
	goleak.VerifyNone(t, options...)
}

// patient are tests that are over when their goroutines are, or have had their time.
type patient struct{ *testing.M }

func (p patient) Run() int {
	code := p.M.Run()
	if code == 0 {
		wait()
	}
	return code
}

// wait returns when no goroutine is left, or after a while. Each look takes some time by itself.
func wait(options ...goleak.Option) {
	for end := time.Now().Add(patience); goleak.Find(options...) != nil && time.Now().Before(end); {
	}
}
