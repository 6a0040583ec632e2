// Command tidemark takes in events and request timings, keeps every event it said yes to, and
// turns them into statistics.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "tidemark:", err)
		os.Exit(1) //nolint:gocritic // the signal handler ends with the process
	}
}
