package ingest

import (
	"runtime"
	"syscall"
)

// storingNice is how far storing stands behind everything else, in steps of nice(2). It still gets a
// fair part of busy processors: what it holds in the database, questions may have to wait for.
const storingNice = 8

// giveWay has the calling goroutine run at a lower priority until it ends. Its thread ends with it:
// raising a priority again takes a privilege. Threads that are begun meanwhile have the usual one.
func giveWay() error {
	runtime.LockOSThread()
	const self, least = 0, 19
	usual, err := priority(self)
	if err != nil {
		return err
	}
	return syscall.Setpriority(syscall.PRIO_PROCESS, self, min(usual+storingNice, least))
}

// priority of a thread, from -20 to 19, the least; 0 is the calling one.
func priority(thread int) (int, error) {
	const most = 20 // the kernel answers with what is left to it, so that no answer is an error
	n, err := syscall.Getpriority(syscall.PRIO_PROCESS, thread)
	return most - n, err
}
