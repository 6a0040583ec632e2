//go:build linux

package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		text       string
		status     int
		retryAfter int
		closing    bool
	}{
		"length":      {text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", status: 200},
		"no body":     {text: "HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n", status: 204},
		"empty body":  {text: "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", status: 200},
		"chunks":      {text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", status: 200},
		"trailer":     {text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nDigest: y\r\n\r\n", status: 200},
		"come again":  {text: "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}", status: 503, retryAfter: 7},
		"the last":    {text: "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", status: 400, closing: true},
		"bare breaks": {text: "HTTP/1.1 200 OK\nContent-Length: 1\n\nx", status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			for piece := 1; piece <= len(c.text); piece++ {
				var a answer
				for turn := range 2 { // the second on the same connection
					done := false
					for at := 0; at < len(c.text); at += piece {
						if done {
							t.Fatalf("turn %d in pieces of %d: complete after %d of %d bytes", turn, piece, at, len(c.text))
						}
						var err error
						if done, err = a.feed([]byte(c.text[at:min(len(c.text), at+piece)])); err != nil {
							t.Fatal(err)
						}
					}
					if !done || a.status != c.status || a.retryAfter != c.retryAfter || a.closing != c.closing {
						t.Fatalf("turn %d in pieces of %d: %v %+v", turn, piece, done, a)
					}
					a.reset()
				}
			}
		})
	}
}

func TestAnswerRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"another protocol":   "SSH-2.0-x\r\n",
		"HTTP/1.0":           "HTTP/1.0 200 OK\r\n\r\n",
		"status":             "HTTP/1.1 2x0 OK\r\n\r\n",
		"interim":            "HTTP/1.1 100 Continue\r\n\r\n",
		"length":             "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"header":             "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
		"chunk":              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"chunk's end":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n",
		"more than one":      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy",
		"a line without end": "HTTP/1.1 200 " + strings.Repeat("x", maxHead+1),
	} {
		t.Run(name, func(t *testing.T) {
			var a answer
			if done, err := a.feed([]byte(text)); err == nil {
				t.Errorf("read without an error, complete %v: %+v", done, a)
			}
		})
	}
}

// FuzzAnswer compares with net/http, which may refuse more but must not read something else.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), 3)
	f.Add([]byte("HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), 1)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		if piece < 1 {
			return
		}
		var a answer
		done := false
		for rest := text; len(rest) > 0; {
			n := min(piece, len(rest))
			var err error
			if done, err = a.feed(rest[:n]); err != nil {
				return
			}
			if rest = rest[n:]; done && len(rest) > 0 {
				return // the next piece is no part of this answer
			}
		}
		request := &http.Request{Method: http.MethodPost}
		want, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), request)
		if err != nil {
			return
		}
		defer want.Body.Close()
		// Without a length, net/http reads until the connection closes; no server here does that.
		if want.ContentLength < 0 && want.TransferEncoding == nil {
			return
		}
		_, err = io.Copy(io.Discard, want.Body)
		if done && err == nil && a.status != want.StatusCode {
			t.Errorf("status %d, net/http reads %d", a.status, want.StatusCode)
		}
	})
}
