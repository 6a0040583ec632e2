package event_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// TestOthersGetTheirTurn works on events on the only processor: nobody else runs unless it is let.
func TestOthersGetTheirTurn(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var ran atomic.Bool
	go ran.Store(true)
	const events = 1000 // once in 61 times the scheduler comes back to who let others run
	for i := range events {
		event.Turn(i)
	}
	if !ran.Load() {
		t.Errorf("nobody else ran while %d events were worked on", events)
	}
}
