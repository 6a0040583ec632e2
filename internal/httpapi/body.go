package httpapi

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// freeBytes is how much of a body is read without asking the budget: nearly all bodies fit.
const freeBytes = 64 << 10

// bodies reads request bodies within bounds: of size before and after decompression, of time,
// and of what all requests together hold in memory.
type bodies struct {
	limit   int
	timeout time.Duration
	budget  atomic.Int64 // bytes beyond freeBytes that may still be held
	pool    sync.Pool
	inflate *inflaters
}

func newBodies(l Limits) *bodies {
	b := &bodies{limit: l.RequestBytes, timeout: l.BodyTimeout, inflate: newInflaters(l.RequestBytes)}
	b.budget.Store(int64(l.BodyMemory))
	b.pool.New = func() any { return &body{owner: b} }
	return b
}

// body is one request's body, whole. Its bytes are gone after release.
type body struct {
	owner    *bodies
	buf      []byte
	room     int // how much of buf may be used
	reserved int64
}

func (b *body) release() {
	b.owner.budget.Add(b.reserved)
	b.reserved = 0
	b.owner.pool.Put(b)
}

// read returns the body of a JSON request, decompressed. The caller releases it.
func (s *bodies) read(w http.ResponseWriter, r *http.Request) (*body, error) {
	return s.readAs(w, r, isJSON, "the Content-Type must be application/json")
}

// readAs is read for another Content-Type.
func (s *bodies) readAs(w http.ResponseWriter, r *http.Request, fits func([]string) bool, want string) (*body, error) {
	if !fits(r.Header["Content-Type"]) {
		return nil, errs.New(errs.UnsupportedMedia, want)
	}
	coding, err := codingOf(r.Header["Content-Encoding"])
	if err != nil {
		return nil, err
	}
	if r.ContentLength > int64(s.limit) {
		return nil, s.tooLarge(coding)
	}
	b := s.pool.Get().(*body)
	if err := s.receive(w, r, b, coding); err != nil {
		b.release()
		return nil, err
	}
	if coding == identity {
		return b, nil
	}
	if err := s.inflate.into(r.Context(), b, coding); err != nil {
		b.release()
		return nil, err
	}
	return b, nil
}

// receive reads what the client sends, under a deadline that ends with the body: one that
// stayed would cut off the request while its handler works.
func (s *bodies) receive(w http.ResponseWriter, r *http.Request, b *body, coding coding) error {
	rc := http.NewResponseController(w)
	if s.timeout > 0 {
		// By the socket's own clock; unsupported only where there is no connection.
		_ = rc.SetReadDeadline(time.Now().Add(s.timeout))
	}
	err := b.fill(r.Body, r.ContentLength, s.limit)
	switch {
	case err == nil:
		if s.timeout > 0 {
			_ = rc.SetReadDeadline(time.Time{})
		}
		return nil
	case errors.Is(err, errOverLimit):
		return s.tooLarge(coding)
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		return &statusError{http.StatusRequestTimeout,
			errs.Wrap(errs.Malformed, "the body did not arrive in time", err)}
	case errs.KindOf(err) != errs.Internal:
		return err
	default:
		return errs.Wrap(errs.Malformed, "the body ended before it was complete or is framed wrongly", err)
	}
}

func (s *bodies) tooLarge(c coding) error {
	if c == identity {
		return errs.New(errs.TooLarge, fmt.Sprintf("one request may have %d bytes", s.limit))
	}
	return errs.New(errs.TooLarge, fmt.Sprintf("one request may have %d bytes, before and after decompression", s.limit))
}

var errOverLimit = errors.New("over the limit")

// fill reads src to its end, or to limit. Memory grows with what arrives, not with what a
// client says will.
func (b *body) fill(src io.Reader, announced int64, limit int) error {
	b.buf = b.buf[:0]
	b.room = 4 << 10
	if announced > 0 {
		b.room = int(min(announced+1, freeBytes)) // one more, to see the end without growing
	}
	b.room = min(b.room, limit+1)
	for {
		if len(b.buf) == b.room {
			if err := b.grow(limit); err != nil {
				return err
			}
		}
		if cap(b.buf) < b.room {
			b.buf = append(make([]byte, 0, b.room), b.buf...)
		}
		n, err := src.Read(b.buf[len(b.buf):b.room])
		b.buf = b.buf[:len(b.buf)+n]
		if err == io.EOF {
			return b.within(limit)
		}
		if err != nil {
			return err
		}
	}
}

func (b *body) within(limit int) error {
	if len(b.buf) > limit {
		return errOverLimit
	}
	return nil
}

// grow doubles the room, up to one byte over the limit, and takes it from the budget.
func (b *body) grow(limit int) error {
	if b.room > limit {
		return errOverLimit
	}
	room := min(2*b.room, limit+1)
	if err := b.reserve(room); err != nil {
		return err
	}
	b.room = room
	return nil
}

// reserve takes what n bytes need beyond freeBytes from the budget of all bodies.
func (b *body) reserve(n int) error {
	more := int64(n) - freeBytes - b.reserved
	if more <= 0 {
		return nil
	}
	if b.owner.budget.Add(-more) < 0 {
		b.owner.budget.Add(more)
		return errs.New(errs.Overloaded, "too many large requests at once; try again")
	}
	b.reserved += more
	return nil
}

// coding is a Content-Encoding.
type coding uint8

const (
	identity coding = iota
	gzipped
	zstandard
)

func codingOf(header []string) (coding, error) {
	if len(header) == 0 {
		return identity, nil
	}
	if len(header) == 1 {
		switch strings.ToLower(strings.TrimSpace(header[0])) {
		case "", "identity":
			return identity, nil
		case "gzip", "x-gzip":
			return gzipped, nil
		case "zstd":
			return zstandard, nil
		}
	}
	return 0, errs.New(errs.UnsupportedMedia, "the Content-Encoding must be gzip, zstd or absent")
}

// isNDJSON reports whether a Content-Type is JSON, an event a line.
func isNDJSON(header []string) bool {
	if len(header) != 1 {
		return false
	}
	kind, _, err := mime.ParseMediaType(header[0])
	return err == nil && (kind == "application/x-ndjson" || kind == "application/ndjson" || kind == "application/jsonl")
}

// isJSON reports whether a Content-Type is JSON in UTF-8, or absent.
func isJSON(header []string) bool {
	switch len(header) {
	case 0:
		return true
	case 1:
		if header[0] == "application/json" || header[0] == "" {
			return true
		}
	default:
		return false
	}
	kind, params, err := mime.ParseMediaType(header[0])
	if err != nil {
		return false
	}
	if kind != "application/json" && !(strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json")) {
		return false
	}
	charset := params["charset"]
	return charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii")
}
