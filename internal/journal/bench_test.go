package journal_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/journal"
)

// benchLine is one event of the usual size.
var benchLine = append(bytes.Repeat([]byte("x"), 349), '\n')

// BenchmarkAppend appends from 64 producers, beside what the disk itself can do.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{4 << 10, 32 * 100 * len(benchLine)} { // one page; one message of 32 batches
		b.Run(fmt.Sprintf("disk/bytes=%d", size), func(b *testing.B) { benchmarkDisk(b, size) })
	}
	for _, batch := range []int{1, 100} {
		for _, read := range []bool{false, true} {
			b.Run(fmt.Sprintf("producers=64/batch=%d/reader=%v", batch, read), func(b *testing.B) {
				benchmarkAppend(b, 64, batch, read)
			})
		}
	}
	b.Run("producers=1/batch=1/reader=false", func(b *testing.B) { benchmarkAppend(b, 1, 1, false) })
}

// benchmarkDisk appends to a file and syncs it each time.
func benchmarkDisk(b *testing.B, size int) {
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, size)
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	report(b, took, (size+len(benchLine)-1)/len(benchLine))
}

func benchmarkAppend(b *testing.B, producers, batch int, read bool) {
	j, err := journal.Open(context.Background(), journal.Config{
		Dir: b.TempDir(), Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var reader sync.WaitGroup
	if read {
		r, err := j.Read(ctx, 0, false)
		if err != nil {
			b.Fatal(err)
		}
		reader.Go(func() { drain(ctx, b, j, r) })
	}
	e := journal.Entry{Lines: bytes.Repeat(benchLine, batch), Counts: event.Counts{Accepted: uint64(batch)}}
	var next atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	var work sync.WaitGroup
	b.ResetTimer()
	for range producers {
		work.Go(func() {
			var took []time.Duration
			for next.Add(1) <= int64(b.N) {
				start := time.Now()
				if _, err := j.Append(ctx, e); err != nil {
					b.Error(err)
					return
				}
				took = append(took, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
		})
	}
	work.Wait()
	b.StopTimer()
	report(b, all, batch)
	b.ReportMetric(float64(b.N)/float64(j.LastAppended()), "entries/message")
	stop()
	reader.Wait()
	if err := j.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// drain reads and purges as the store writer does.
func drain(ctx context.Context, b *testing.B, j *journal.Journal, r *journal.Reader) {
	defer r.Close()
	purged := time.Now()
	for {
		m, err := r.Next(ctx)
		if err != nil {
			return
		}
		if time.Since(purged) > 100*time.Millisecond {
			if err := j.Purge(ctx, m.Seq); err != nil && ctx.Err() == nil {
				b.Error(err)
			}
			purged = time.Now()
		}
	}
}

func report(b *testing.B, took []time.Duration, batch int) {
	slices.Sort(took)
	at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "events/s")
}
