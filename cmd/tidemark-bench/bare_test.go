//go:build linux

package main

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The service's own door takes the load's events, alone and in batches, without a refusal.
func TestTheDoorWithoutAJournalTakesTheLoad(t *testing.T) {
	parent, alive := io.Pipe()
	out, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := serveBare(parent, stdout)
		ended <- errors.Join(err, stdout.CloseWithError(err))
	}()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]load{
		"singles": {path: trackPath, over: 4, batch: 1, rate: clockRate, time: 200 * time.Millisecond},
		"batches": {path: batchPath, over: 4, batch: batchEvents, events: 2000},
	} {
		l.addr = strings.TrimSpace(addr)
		var counted atomic.Int64
		got, err := send(t.Context(), l, &counted)
		if err != nil || len(got.Refused) > 0 || got.Accepted == 0 {
			t.Errorf("%s: %v, accepted %d, refused %v", name, err, got.Accepted, got.Refused)
		}
	}
	if err := alive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
