package destination

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker{pauses: defaultPauses()}
		began := time.Now()
		for n := 1; n <= 12; n++ {
			wait := b.failed(0)
			if n < breakAfter && (b.open() || wait > 2*time.Second || wait < 100*time.Millisecond) {
				t.Errorf("after %d failures: open %v, a pause of %v", n, b.open(), wait)
			}
			if n >= breakAfter && (!b.open() || wait < 5*time.Second || wait > time.Minute) {
				t.Errorf("after %d failures: open %v, a pause of %v", n, b.open(), wait)
			}
			pause(t.Context(), wait)
		}
		// Ten minutes away cost a receiver no more than about twenty tries.
		if took := time.Since(began); took < 3*time.Minute || took > 12*time.Minute {
			t.Errorf("twelve tries took %v", took)
		}
		if wait := b.failed(4 * time.Minute); wait != 4*time.Minute {
			t.Errorf("asked for 4 minutes, waits %v", wait)
		}
		if b.succeeded(); b.open() {
			t.Error("a success does not close it")
		}
	})
}
