package client

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/felixge/httpsnoop"
)

// writer is the exchange as the handler sees it. It has of Flusher, Hijacker, Pusher, ReaderFrom
// and CloseNotifier exactly what the writer around it has; all else is reached through Unwrap.
// What net/http serves with has types of its own here, which cost nothing.
func (x *exchange) writer() http.ResponseWriter {
	w := answerWriter{x}
	switch skillsOf(x.w) {
	case 0:
		return w
	case skillsOfHTTP1:
		return http1Writer{w}
	case skillsOfHTTP2:
		return http2Writer{w}
	default:
		return w.hooked()
	}
}

// skills is what a ResponseWriter can beyond what it must.
type skills uint8

const (
	flushes skills = 1 << iota
	hijacks
	pushes
	readsFrom
	notifies

	skillsOfHTTP1 = flushes | hijacks | readsFrom | notifies
	skillsOfHTTP2 = flushes | pushes | notifies
)

func skillsOf(w http.ResponseWriter) (s skills) {
	if _, ok := w.(http.Flusher); ok {
		s |= flushes
	}
	if _, ok := w.(http.Hijacker); ok {
		s |= hijacks
	}
	if _, ok := w.(http.Pusher); ok {
		s |= pushes
	}
	if _, ok := w.(io.ReaderFrom); ok {
		s |= readsFrom
	}
	if _, ok := w.(closeNotifier); ok {
		s |= notifies
	}
	return s
}

// closeNotifier is http.CloseNotifier, which is deprecated and which gin's streams want.
type closeNotifier interface{ CloseNotify() <-chan bool }

// hooked is for the writers of other middleware, in whatever combination.
func (w answerWriter) hooked() http.ResponseWriter {
	return httpsnoop.Wrap(w.x.w, httpsnoop.Hooks{
		WriteHeader: func(httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc { return w.WriteHeader },
		Write:       func(httpsnoop.WriteFunc) httpsnoop.WriteFunc { return w.Write },
		WriteString: func(httpsnoop.WriteStringFunc) httpsnoop.WriteStringFunc { return w.WriteString },
		Flush:       func(httpsnoop.FlushFunc) httpsnoop.FlushFunc { return func() { _ = w.flush() } },
		FlushError:  func(httpsnoop.FlushErrorFunc) httpsnoop.FlushErrorFunc { return w.flush },
		Hijack:      func(httpsnoop.HijackFunc) httpsnoop.HijackFunc { return w.hijack },
		ReadFrom:    func(httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc { return w.readFrom },
	})
}

// answerWriter is one pointer, so that it becomes an interface without an allocation.
type answerWriter struct{ x *exchange }

type (
	http1Writer struct{ answerWriter }
	http2Writer struct{ answerWriter }
)

func (w answerWriter) Header() http.Header { return w.x.w.Header() }

// Unwrap leads http.ResponseController on.
func (w answerWriter) Unwrap() http.ResponseWriter { return w.x.w }

// WriteHeader passes informational answers, which may come before the real one.
func (w answerWriter) WriteHeader(status int) {
	if status < 100 || status >= 200 || status == http.StatusSwitchingProtocols {
		w.x.begins(status)
	}
	w.x.w.WriteHeader(status)
}

func (w answerWriter) Write(p []byte) (int, error) {
	w.x.begins(http.StatusOK)
	n, err := w.x.w.Write(p)
	w.x.written += int64(n)
	return n, err
}

func (w answerWriter) WriteString(s string) (int, error) {
	w.x.begins(http.StatusOK)
	n, err := io.WriteString(w.x.w, s)
	w.x.written += int64(n)
	return n, err
}

func (w answerWriter) flush() error {
	w.x.begins(http.StatusOK)
	return http.NewResponseController(w.x.w).Flush()
}

func (w answerWriter) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buf, err := http.NewResponseController(w.x.w).Hijack()
	if err == nil && w.x.status == 0 {
		w.x.status = http.StatusSwitchingProtocols
	}
	return conn, buf, err
}

// readFrom keeps the short way from a file to the socket.
func (w answerWriter) readFrom(src io.Reader) (int64, error) {
	w.x.begins(http.StatusOK)
	n, err := w.x.w.(io.ReaderFrom).ReadFrom(src)
	w.x.written += n
	return n, err
}

func (w answerWriter) closeNotify() <-chan bool { return w.x.w.(closeNotifier).CloseNotify() }

func (w http1Writer) ReadFrom(src io.Reader) (int64, error) { return w.readFrom(src) }
func (w http1Writer) Flush()                                { _ = w.flush() }
func (w http1Writer) FlushError() error                     { return w.flush() }
func (w http1Writer) CloseNotify() <-chan bool              { return w.closeNotify() }
func (w http1Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.hijack()
}

func (w http2Writer) Flush()                   { _ = w.flush() }
func (w http2Writer) FlushError() error        { return w.flush() }
func (w http2Writer) CloseNotify() <-chan bool { return w.closeNotify() }
func (w http2Writer) Push(target string, o *http.PushOptions) error {
	return w.x.w.(http.Pusher).Push(target, o)
}
