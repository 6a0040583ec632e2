package leaktest

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { Main(m) }

// recorder is a test whose failure does not fail this one.
type recorder struct{ said []any }

func (r *recorder) Error(args ...any) { r.said = append(r.said, args...) }

func TestNone(t *testing.T) {
	for name, c := range map[string]struct {
		lives time.Duration
		found bool
	}{
		"ends later": {patience - time.Second, false},
		"stays":      {patience + time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				others, r := goleak.IgnoreCurrent(), &recorder{}
				go linger(c.lives)
				None(r, others)
				time.Sleep(c.lives) // no goroutine may outlive this test
				switch {
				case !c.found && len(r.said) > 0:
					t.Errorf("found %v", r.said)
				case c.found && (len(r.said) != 1 || !strings.Contains(r.said[0].(error).Error(), "leaktest.linger")):
					t.Errorf("it stays, and found is %v", r.said)
				}
			})
		})
	}
}

func linger(d time.Duration) { time.Sleep(d) }
