package journal_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/journal"
)

// benchSize is about what an event takes, see benchLines.
const benchSize = 350

// benchLines are n events of a service: much of one is in all of them, and the rest has been drawn.
func benchLines(n int) []byte {
	names, plans := []string{"page_view", "search", "add_to_cart", "purchase"}, []string{"free", "pro", "team"}
	var lines []byte
	for range n {
		now := time.Now().UTC()
		lines = fmt.Appendf(lines, `{"event_id":"%s","event_name":"%s","event_type":"custom","timestamp":"%s","received_at":"%s","user_id":"user-%06d",`+
			`"session_id":"sess-%016x","properties":{"path":"/item/%d","plan":"%s","amount":%d.%02d},"severity":"low","source":"web","sample_rate":1,"processed":false}`+"\n",
			uuid.NewString(), names[rand.IntN(len(names))], now.Add(-rand.N(10*time.Second)).Format(time.RFC3339Nano), now.Format(time.RFC3339Nano),
			rand.IntN(100_000), rand.Uint64(), rand.IntN(10_000), plans[rand.IntN(len(plans))], rand.IntN(1000), rand.IntN(100))
	}
	return lines
}

// BenchmarkAppend appends from 64 producers, beside what the disk itself can do.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{4 << 10, 32 * 100 * benchSize} { // one page; one message of 32 batches
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
	report(b, took, (size+benchSize-1)/benchSize)
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
	var next atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	var work sync.WaitGroup
	ready := make(chan struct{})
	for range producers {
		e := journal.Entry{Lines: benchLines(batch), Counts: event.Counts{Accepted: uint64(batch)}}
		work.Go(func() {
			var took []time.Duration
			<-ready
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
	b.ResetTimer()
	close(ready)
	work.Wait()
	b.StopTimer()
	report(b, all, batch)
	b.ReportMetric(float64(b.N)/float64(j.LastAppended()), "entries/message")
	if !read {
		b.ReportMetric(float64(j.State().Bytes)/float64(b.N*batch), "B/event")
	}
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

// BenchmarkRead reads messages of 32 batches, as the store does and as several destinations do.
func BenchmarkRead(b *testing.B) {
	for _, readers := range []int{1, 5} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) { benchmarkRead(b, readers) })
	}
}

func benchmarkRead(b *testing.B, readers int) {
	const messages, events = 40, 3200
	j, err := journal.Open(context.Background(), journal.Config{
		Dir: b.TempDir(), Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		b.Fatal(err)
	}
	e := journal.Entry{Lines: benchLines(events)}
	for range messages {
		if _, err := j.Append(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		var work sync.WaitGroup
		for range readers {
			work.Go(func() {
				r, err := j.Read(b.Context(), 0, false)
				if err != nil {
					b.Error(err)
					return
				}
				defer r.Close()
				for range messages {
					if m, err := r.Next(b.Context()); err != nil || len(m.Lines) != len(e.Lines) {
						b.Errorf("%d bytes: %v", len(m.Lines), err)
						return
					}
				}
			})
		}
		work.Wait()
	}
	b.ReportMetric(float64(b.N*readers*messages*events)/b.Elapsed().Seconds(), "events/s")
	if err := j.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}

func report(b *testing.B, took []time.Duration, batch int) {
	slices.Sort(took)
	at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "events/s")
}
