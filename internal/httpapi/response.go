package httpapi

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
)

// response watches one answer: it writes X-Response-Time before the first byte, remembers the
// status, and puts a problem in place of the mux's plain 404 and 405.
type response struct {
	http.ResponseWriter
	request *http.Request
	now     func() time.Time
	start   time.Time
	route   *route // nil until one matched
	status  int    // 0 = nothing sent yet
	swallow bool   // the body that follows has been replaced

	principal access.Principal

	id, elapsed [1]string // header values, here to save allocations
}

// WriteHeader sends the header once; informational ones pass.
func (w *response) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.status != 0 {
		return
	}
	if w.route == nil && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed) && !w.swallow {
		w.unmatched(status)
		return
	}
	w.status = status
	w.elapsed[0] = milliseconds(w.now().Sub(w.start))
	w.Header()[headerResponseTime] = w.elapsed[:]
	w.ResponseWriter.WriteHeader(status)
}

// unmatched answers in place of the mux, which has set Allow.
func (w *response) unmatched(status int) {
	detail := "there is nothing at this path; /api/openapi.json lists what there is"
	if status == http.StatusMethodNotAllowed {
		detail = "this path does not know this method; the Allow header lists those it knows"
	}
	w.swallow = true
	w.Header().Del("X-Content-Type-Options")
	p := newProblem(status, detail)
	p.write(passThrough{w})
}

// passThrough writes to a response that swallows what others write.
type passThrough struct{ *response }

func (w passThrough) Write(b []byte) (int, error) { return w.ResponseWriter.Write(b) }

func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.swallow {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// ReadFrom keeps the short way from a file to the socket.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return io.Copy(w.ResponseWriter, src)
}

// FlushError sends what was written so far, the header first.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is FlushError for those who only know http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// Hijack gives the connection away.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buf, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.status = http.StatusSwitchingProtocols
	}
	return conn, buf, err
}

// Unwrap leads http.ResponseController to what the response does not do itself.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// milliseconds prints a duration as the contract does: 1.23ms.
func milliseconds(d time.Duration) string {
	var buf [24]byte
	b := strconv.AppendFloat(buf[:0], float64(max(d, 0))/float64(time.Millisecond), 'f', 2, 64)
	return string(append(b, "ms"...))
}
