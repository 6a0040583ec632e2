package client

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// writer is the exchange as the handler sees it. It has of Flusher, Hijacker, Pusher and
// ReaderFrom what the server's own writer has, in the combinations that there are; all else is
// reached through Unwrap.
func (x *exchange) writer() http.ResponseWriter {
	w := answerWriter{x}
	_, flushes := x.w.(http.Flusher)
	_, hijacks := x.w.(http.Hijacker)
	_, reads := x.w.(io.ReaderFrom)
	_, pushes := x.w.(http.Pusher)
	switch {
	case flushes && hijacks && reads:
		return http1Writer{w}
	case flushes && pushes:
		return http2Writer{w}
	case flushes && hijacks:
		return hijackWriter{w}
	case flushes:
		return flushWriter{w}
	case pushes:
		return pushWriter{w}
	default:
		return w
	}
}

// answerWriter is one pointer, so that it becomes an interface without an allocation.
type answerWriter struct{ x *exchange }

type (
	flushWriter  struct{ answerWriter }
	hijackWriter struct{ answerWriter }
	http1Writer  struct{ answerWriter }
	http2Writer  struct{ answerWriter }
	pushWriter   struct{ answerWriter }
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

func (w answerWriter) push(target string, o *http.PushOptions) error {
	return w.x.w.(http.Pusher).Push(target, o)
}

// ReadFrom keeps the short way from a file to the socket.
func (w http1Writer) ReadFrom(src io.Reader) (int64, error) {
	w.x.begins(http.StatusOK)
	n, err := w.x.w.(io.ReaderFrom).ReadFrom(src)
	w.x.written += n
	return n, err
}

func (w http1Writer) Flush()            { _ = w.flush() }
func (w http1Writer) FlushError() error { return w.flush() }
func (w http1Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.hijack()
}

func (w hijackWriter) Flush()            { _ = w.flush() }
func (w hijackWriter) FlushError() error { return w.flush() }
func (w hijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.hijack()
}

func (w http2Writer) Flush()            { _ = w.flush() }
func (w http2Writer) FlushError() error { return w.flush() }
func (w http2Writer) Push(target string, o *http.PushOptions) error {
	return w.push(target, o)
}

func (w flushWriter) Flush()            { _ = w.flush() }
func (w flushWriter) FlushError() error { return w.flush() }

func (w pushWriter) Push(target string, o *http.PushOptions) error {
	return w.push(target, o)
}
