package ingest

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// Storing in this process runs behind all else, and nothing else does: neither a thread that is begun
// while it runs, nor one that is left when it has ended.
func TestStoringGivesWay(t *testing.T) {
	w := newWorld(t)
	usual, err := priority(0)
	must(t, err)
	var storing int
	var others []int
	w.sink.busy.Lock() // no commit reads it meanwhile
	w.sink.before = func() {
		storing, _ = priority(0)
		others = onOtherThreads(20)
	}
	w.sink.busy.Unlock()
	w.send(event.Event{Name: "n"})
	w.flush()
	if want := min(usual+storingNice, 19); storing != want {
		t.Errorf("storing runs at %d instead of %d, all else at %d", storing, want, usual)
	}
	for _, p := range others {
		if p != usual {
			t.Errorf("a thread beside it runs at %d instead of %d", p, usual)
		}
	}
	w.close()
	w.until("the storing thread's end", func() bool {
		list, err := os.ReadDir("/proc/self/task")
		must(t, err)
		for _, thread := range list {
			id, err := strconv.Atoi(thread.Name())
			must(t, err)
			if id == os.Getpid() {
				continue // the first thread cannot end: if it was the one, it rests for ever
			}
			p, err := priority(id)
			if errors.Is(err, syscall.ESRCH) {
				continue
			}
			must(t, err)
			if p != usual {
				return false
			}
		}
		return true
	})
}

// onOtherThreads are the priorities of so many threads at the same time.
func onOtherThreads(n int) []int {
	list := make([]int, n)
	var all, done sync.WaitGroup
	all.Add(n)
	for i := range list {
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			all.Done()
			all.Wait()
			list[i], _ = priority(0)
		})
	}
	done.Wait()
	return list
}
