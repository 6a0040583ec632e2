package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// maxWindow is the zstd window that RFC 8878 asks every decoder to support.
const maxWindow = 8 << 20

// inflaters is a fixed number of decompressors, so that their memory is bounded whatever comes.
// They work on bodies that have arrived whole: no slow client holds one.
type inflaters struct {
	limit int
	free  chan *inflater
}

// inflater holds the state of both formats and room for one result; each is made at first use.
type inflater struct {
	gzip *gzip.Reader
	zstd *zstd.Decoder
	out  []byte
}

func newInflaters(limit int) *inflaters {
	n := runtime.GOMAXPROCS(0)
	s := &inflaters{limit: limit, free: make(chan *inflater, n)}
	for range n {
		s.free <- &inflater{}
	}
	return s
}

// into replaces the body by what it decompresses to. A bomb stops at the limit.
func (s *inflaters) into(ctx context.Context, b *body, c coding) error {
	var f *inflater
	select {
	case f = <-s.free:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { s.free <- f }()
	if f.out == nil {
		f.out = make([]byte, 0, s.limit+1)
	}
	var out []byte
	var err error
	if c == gzipped {
		out, err = f.gunzip(b.buf)
	} else {
		out, err = f.unzstd(b.buf)
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return errs.New(errs.TooLarge, fmt.Sprintf("a zstd window may have %d bytes", maxWindow))
	}
	if errors.Is(err, errOverLimit) || len(out) > s.limit {
		return errs.New(errs.TooLarge, fmt.Sprintf("one request may have %d bytes after decompression", s.limit))
	}
	if err != nil {
		return errs.Wrap(errs.Malformed, "the body cannot be decompressed", err)
	}
	if err := b.reserve(len(out)); err != nil {
		return err
	}
	b.buf = append(b.buf[:0], out...)
	return nil
}

func (f *inflater) gunzip(in []byte) ([]byte, error) {
	if f.gzip == nil {
		f.gzip = new(gzip.Reader)
	}
	if err := f.gzip.Reset(bytes.NewReader(in)); err != nil {
		return nil, err
	}
	return f.drain(f.gzip)
}

func (f *inflater) unzstd(in []byte) ([]byte, error) {
	if f.zstd == nil {
		// Concurrency 1 decodes in this goroutine: there is none to join.
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return nil, err
		}
		f.zstd = d
	}
	if err := f.zstd.Reset(bytes.NewReader(in)); err != nil {
		return nil, err
	}
	return f.drain(f.zstd)
}

// drain reads src into f.out, which has room for one byte over the limit.
func (f *inflater) drain(src io.Reader) ([]byte, error) {
	out := f.out[:0]
	for {
		if len(out) == cap(out) {
			return nil, errOverLimit
		}
		n, err := src.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
