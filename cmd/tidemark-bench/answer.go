//go:build linux

package main

import (
	"bytes"
	"errors"
	"strconv"
)

const (
	maxHead      = 16 << 10
	maxChunkLine = 64
)

// answer reads HTTP/1.1 answers, one after another, from the pieces a connection gives: status,
// length, and what a client must obey. It skips the body.
type answer struct {
	status     int
	retryAfter int  // whole seconds
	closing    bool // the server closes the connection after this answer
	line       []byte
	part       part
	left       int64 // of the body or the chunk
	chunked    bool
}

// part is what is read next.
type part uint8

const (
	partStatus part = iota
	partHeader
	partBody
	partChunkSize
	partChunkEnd
	partTrailer
)

var errAnswer = errors.New("the answer is not HTTP/1.1 as expected")

// feed reads b and reports whether the answer is complete. Nothing may follow a complete answer,
// because the next request has not been sent yet.
func (a *answer) feed(b []byte) (done bool, err error) {
	for len(b) > 0 {
		if done {
			return false, errAnswer
		}
		if a.part == partBody {
			n := min(int64(len(b)), a.left)
			a.left -= n
			b = b[n:]
			if a.left > 0 {
				continue
			}
			if a.chunked {
				a.part = partChunkEnd
			} else {
				done = true
			}
			continue
		}
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		b = rest
		if len(a.line)+len(line) > maxHead {
			return false, errAnswer
		}
		if !whole {
			a.line = append(a.line, line...)
			return false, nil
		}
		if len(a.line) > 0 {
			a.line = append(a.line, line...)
			line = a.line
		}
		done, err = a.take(bytes.TrimSuffix(line, []byte{'\r'}))
		if err != nil {
			return false, err
		}
		a.line = a.line[:0]
	}
	return done, nil
}

// take reads one line of the head or of the framing of chunks.
func (a *answer) take(line []byte) (done bool, err error) {
	switch a.part {
	case partStatus:
		return false, a.begin(line)
	case partHeader:
		if len(line) > 0 {
			return false, a.header(line)
		}
		return a.body(), nil
	case partChunkSize:
		return false, a.chunk(line)
	case partChunkEnd:
		a.part = partChunkSize
		if len(line) > 0 {
			return false, errAnswer
		}
		return false, nil
	default: // partTrailer
		return len(line) == 0, nil
	}
}

func (a *answer) begin(line []byte) error {
	const version = "HTTP/1.1 "
	if !bytes.HasPrefix(line, []byte(version)) || len(line) < len(version)+3 {
		return errAnswer
	}
	status, err := strconv.Atoi(string(line[len(version) : len(version)+3]))
	if err != nil || status < 200 {
		return errAnswer
	}
	*a = answer{status: status, line: a.line, part: partHeader}
	return nil
}

func (a *answer) header(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte{':'})
	if !ok {
		return errAnswer
	}
	value = bytes.TrimSpace(value)
	is := func(s string) bool { return len(name) == len(s) && bytes.EqualFold(name, []byte(s)) }
	switch {
	case is("Content-Length"):
		n, err := strconv.ParseUint(string(value), 10, 40)
		if err != nil {
			return errAnswer
		}
		a.left = int64(n)
	case is("Transfer-Encoding"):
		a.chunked = true
	case is("Retry-After"):
		n, err := strconv.ParseUint(string(value), 10, 16)
		if err != nil {
			return errAnswer
		}
		a.retryAfter = int(n)
	case is("Connection"):
		a.closing = bytes.EqualFold(value, []byte("close"))
	}
	return nil
}

func (a *answer) body() (done bool) {
	switch {
	case a.chunked:
		a.part = partChunkSize
	case a.left > 0:
		a.part = partBody
	default:
		return true
	}
	return false
}

func (a *answer) chunk(line []byte) error {
	if len(line) > maxChunkLine {
		return errAnswer
	}
	size, _, _ := bytes.Cut(line, []byte{';'})
	n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 40)
	if err != nil {
		return errAnswer
	}
	a.left = int64(n)
	a.part = partBody
	if n == 0 {
		a.part = partTrailer
	}
	return nil
}

// reset makes a ready for the next answer.
func (a *answer) reset() { *a = answer{line: a.line[:0]} }
