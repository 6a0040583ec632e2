// Command tidemark takes in events and request timings, keeps every event it said yes to, and
// turns them into statistics.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		obey(signals, stop, os.Stderr)
		os.Exit(1)
	}()
	if err := run(ctx, os.Args[1:], streams{os.Stdout, os.Stderr, keepPrivate()}); err != nil {
		fmt.Fprintln(os.Stderr, "tidemark:", err)
		os.Exit(1)
	}
}

// oneWish is how long signals count as one: programs that pass them on, as timeout does, send them to the process and
// to its group.
const oneWish = time.Second / 2

// obey stops what runs at the first signal, and returns at the second: whoever sends it does not want to wait.
func obey(signals <-chan os.Signal, stop func(), stderr io.Writer) {
	<-signals
	fmt.Fprintln(stderr, "tidemark: stopping; a second Ctrl-C or SIGTERM ends at once")
	stop()
	first := time.Now()
	for {
		if <-signals; time.Since(first) >= oneWish {
			break
		}
	}
	fmt.Fprintln(stderr, "tidemark: ended at once; events that were accepted and not yet stored are in the journal, for the next start")
}
