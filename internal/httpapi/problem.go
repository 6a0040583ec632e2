package httpapi

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// statuses is the one table from error kinds to HTTP. Malformed and Invalid are both 422: the
// contract names 400 only for a few endpoints, which say so with badRequest.
var statuses = map[errs.Kind]int{
	errs.Internal:         http.StatusInternalServerError,
	errs.Invalid:          http.StatusUnprocessableEntity,
	errs.Malformed:        http.StatusUnprocessableEntity,
	errs.Unauthorized:     http.StatusUnauthorized,
	errs.Forbidden:        http.StatusForbidden,
	errs.NotFound:         http.StatusNotFound,
	errs.Conflict:         http.StatusConflict,
	errs.TooLarge:         http.StatusRequestEntityTooLarge,
	errs.UnsupportedMedia: http.StatusUnsupportedMediaType,
	errs.RateLimited:      http.StatusTooManyRequests,
	errs.Overloaded:       http.StatusServiceUnavailable,
	errs.Unavailable:      http.StatusServiceUnavailable,
}

// statusClientGone is what the log and the timings show for a client that left; nobody reads it.
const statusClientGone = 499

// Problem is the RFC 9457 answer to every failure.
type Problem struct {
	Type      string       `json:"type" doc:"Always about:blank: the status says what sort of problem it is"`
	Title     string       `json:"title" doc:"The status in words"`
	Status    int          `json:"status" doc:"HTTP status"`
	Detail    string       `json:"detail" doc:"What went wrong, for people"`
	Errors    []errs.Field `json:"errors,omitempty" nullable:"false" doc:"The faults of the input, each with its place"`
	RequestID string       `json:"request_id" doc:"The X-Request-ID of the request, to find it in the log"`

	retryAfter int // seconds; 0 = no Retry-After
	cause      error
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// Unwrap returns the error that became this problem; it is for the log.
func (p *Problem) Unwrap() error { return p.cause }

// GetStatus and ContentType make huma answer with a Problem as it is.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType names problems what they are.
func (p *Problem) ContentType(string) string { return problemType }

// GetHeaders returns the headers that belong to the problem.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="tidemark"`)
	}
	return h
}

const problemType = "application/problem+json"

func newProblem(status int, detail string) *Problem {
	title := http.StatusText(status)
	if title == "" {
		title = "Client Closed Request"
	}
	return &Problem{Type: "about:blank", Title: title, Status: status, Detail: detail}
}

// statusError gives an error another status than its kind has.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// badRequest makes the faults of a request 400, where the contract says 400.
func badRequest(err error) error {
	switch errs.KindOf(err) {
	case errs.Invalid, errs.Malformed, errs.NotFound:
		return &statusError{status: http.StatusBadRequest, err: err}
	default:
		return err
	}
}

// problemOf turns any error into the problem to answer with.
func problemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var e *errs.Error
	if !errors.As(err, &e) {
		return unclassified(err)
	}
	p = newProblem(statuses[e.Kind], e.Detail)
	p.Errors, p.cause = e.Fields, err
	var se *statusError
	if errors.As(err, &se) {
		p.Status, p.Title = se.status, http.StatusText(se.status)
	}
	switch e.Kind {
	case errs.Internal:
		p.Detail, p.Errors = internalDetail, nil
	case errs.RateLimited, errs.Overloaded, errs.Unavailable:
		p.retryAfter = retryAfter(e.RetryAfter)
	}
	return p
}

const internalDetail = "an internal error; the log has more under this request id"

// unclassified answers for errors nobody gave a kind: those of a context are known, all others
// are ours.
func unclassified(err error) *Problem {
	var p *Problem
	switch {
	case errors.Is(err, context.Canceled):
		p = newProblem(statusClientGone, "the client closed the request")
	case errors.Is(err, context.DeadlineExceeded):
		p = newProblem(http.StatusServiceUnavailable, "it took too long; try again")
		p.retryAfter = retryAfter(0)
	default:
		p = newProblem(http.StatusInternalServerError, internalDetail)
	}
	p.cause = err
	return p
}

// retryAfter is whole seconds, rounded up, at least one.
func retryAfter(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }

// write sends the problem. Headers set before stay.
func (p *Problem) write(w http.ResponseWriter) {
	p.RequestID = requestIDOf(w)
	h := w.Header()
	for name, values := range p.GetHeaders() {
		h[name] = values
	}
	h.Set("Content-Type", problemType)
	h.Del("Content-Encoding")
	body, err := encode(p)
	if err != nil { // only texts that are not UTF-8, and those are ours
		body = []byte("{}\n")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // a client that left is no error of ours
}
