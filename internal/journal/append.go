package journal

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// messageOverhead is at least what JetStream counts for a message beyond its data.
const messageOverhead = 512

// Append writes one entry and returns the position of its message once that is on disk. An
// error of kind Overloaded or Unavailable says that trying again later is right, TooLarge that
// it is not.
//
// ctx counts until the entry has found its group. From then on Append waits for the outcome,
// at most AppendTimeout: the end of a request does not leave it open whether its events are stored.
func (j *Journal) Append(ctx context.Context, e Entry) (uint64, error) {
	if trace.SpanFromContext(ctx).IsRecording() {
		return j.tracedAppend(ctx, &e)
	}
	g, err := j.append(ctx, &e)
	if err != nil {
		return 0, err
	}
	return g.seq, nil
}

// append returns the group in which the entry was written.
func (j *Journal) append(ctx context.Context, e *Entry) (*group, error) {
	if len(e.Lines) > j.entry {
		return nil, errEntryTooLarge()
	}
	if err := ctx.Err(); err != nil {
		return nil, unavailable("the request ended before its events were written", err)
	}
	// How far the lines can be compressed is not known yet: perhaps not at all.
	if err := j.status.admit(len(e.Lines) + messageOverhead); err != nil {
		return nil, err
	}
	g, err := j.queue.join(ctx, e)
	if err != nil {
		return nil, err
	}
	select {
	case <-g.done:
	case <-g.ctx.Done():
		select {
		case <-g.done: // finish ends the context too
		default:
			return nil, errUnconfirmed(g.ctx.Err())
		}
	}
	return g, g.err
}

// commitGroups writes one group after the other until the journal is closed.
func (j *Journal) commitGroups() {
	for {
		g := j.queue.take()
		if g == nil {
			return
		}
		seq, err := j.commit(g)
		lines := g.lines
		g.lines = nil
		g.finish(seq, err)
		j.queue.recycle(lines)
	}
}

// commit writes one group and returns its position, or why its entries are refused.
func (j *Journal) commit(g *group) (uint64, error) {
	b := j.buffers.pack(g.lines)
	defer j.buffers.giveBack(b.lent)
	size := len(b.data) + messageOverhead
	if err := j.status.admit(size); err != nil {
		return 0, err
	}
	if err := j.backend.room(size); err != nil {
		j.status.setDisk(err)
		return 0, err
	}
	start := time.Now()
	d, err := j.writer.draft(&g.counts, b)
	if err != nil {
		return 0, err
	}
	seq, err := j.deliver(g.ctx, d)
	if err != nil {
		if d.doubtful {
			j.writer.doubt()
		}
		return 0, err
	}
	j.cfg.ObserveFsync(time.Since(start))
	j.writer.wrote(d)
	j.status.wrote(Message{Seq: seq, Time: start.Round(0).UTC(), Writer: d.writer, Total: d.total, Counts: g.counts}, size)
	return seq, nil
}

// deliver publishes d until it is stored, refused or ctx ends. It never stores it twice: an
// external JetStream knows the message by its id, and in the embedded one it is looked for.
func (j *Journal) deliver(ctx context.Context, d *draft) (uint64, error) {
	for attempt := 0; ; attempt++ {
		l, err := j.awaitLink(ctx)
		if err != nil {
			return 0, errUnconfirmed(err)
		}
		seq, err := j.try(ctx, l, d)
		if err == nil {
			return seq, nil
		}
		if refused := refusal(err); refused != nil {
			return 0, refused
		}
		if ctx.Err() != nil {
			err = fmt.Errorf("%d attempts within %v: %w", attempt+1, j.cfg.AppendTimeout, err)
			j.fail(l, err)
			return 0, errUnconfirmed(err)
		}
		if j.backend.exclusive() {
			j.fail(l, err)
			continue
		}
		select {
		case <-time.After(min(time.Second, 20*time.Millisecond<<min(attempt, 10))):
		case <-ctx.Done():
		}
	}
}

// try is one attempt, never while a purge runs in the embedded JetStream: a purge that finds a
// write half failed locks that server up for good. So a failure gives the link up before a
// purge can use it.
func (j *Journal) try(ctx context.Context, l *link, d *draft) (uint64, error) {
	if !j.backend.exclusive() {
		return j.attempt(ctx, l, d)
	}
	j.writing.Lock()
	defer j.writing.Unlock()
	seq, err := j.attempt(ctx, l, d)
	if err != nil && refusal(err) == nil {
		j.fail(l, err)
	}
	return seq, err
}

// attempt publishes d once, unless it is stored already.
func (j *Journal) attempt(ctx context.Context, l *link, d *draft) (uint64, error) {
	expect := int64(-1)
	if j.backend.exclusive() {
		last := j.status.last()
		if d.doubtful {
			id, err := l.idAt(ctx, last)
			if err != nil || id == d.id {
				return last, err
			}
			d.doubtful = false
		}
		expect = int64(last)
	} else {
		// A leader that dies with the message in hand never answers: ask the next one in time.
		one, cancel := context.WithTimeout(ctx, max(j.cfg.AppendTimeout/4, 250*time.Millisecond))
		defer cancel()
		ctx = one
	}
	seq, err := l.publish(ctx, d.msg, expect)
	if err == nil {
		err = j.backend.settle()
	}
	if err != nil && refusal(err) == nil {
		d.doubtful = true
	}
	return seq, err
}
