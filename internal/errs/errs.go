// Package errs gives every error a kind, decided where the error is born: what sort of
// failure it is, whether trying again helps, and what may be told to a client.
//
// One table in httpapi turns kinds into answers; no other place maps errors to statuses.
package errs

import (
	"errors"
	"time"
)

// Kind says what sort of failure an error is.
type Kind uint8

// The kinds. The zero value is Internal, so an error nobody classified is never blamed on a client.
const (
	Internal         Kind = iota // a fault of ours; the detail stays in the log
	Invalid                      // the input breaks a rule; the same input will fail again
	Malformed                    // the input cannot be read at all
	Unauthorized                 // no key, or one that is not valid
	Forbidden                    // a valid key without the scope
	NotFound                     // the thing asked for does not exist
	Conflict                     // the state changed under the caller
	TooLarge                     // over a size limit; the detail says which
	UnsupportedMedia             // a Content-Type or Content-Encoding that is not understood
	RateLimited                  // too many requests; retry after RetryAfter
	Overloaded                   // a bounded queue or disk is full; retry after RetryAfter
	Unavailable                  // a dependency is away; retry after RetryAfter
)

// String is the kind in one word.
func (k Kind) String() string {
	names := [...]string{"internal", "invalid", "malformed", "unauthorized", "forbidden", "not_found", "conflict",
		"too_large", "unsupported_media", "rate_limited", "overloaded", "unavailable"}
	if int(k) >= len(names) {
		return names[Internal]
	}
	return names[k]
}

// Field is one fault in an input.
type Field struct {
	Location string `json:"location" doc:"JSON Pointer or parameter that is at fault" example:"/properties/plan"`
	Message  string `json:"message" doc:"What is wrong; never repeats the value"`
}

// Error is an error with a kind. Detail and Fields are shown to clients and hold no values,
// SQL or paths; Err is for the log only.
type Error struct {
	Kind       Kind
	Detail     string
	Fields     []Field
	RetryAfter time.Duration // 0 = the answer's default
	Err        error
}

// New returns an error of the given kind with a detail that clients may read.
func New(k Kind, detail string) *Error { return &Error{Kind: k, Detail: detail} }

// Wrap returns an error of the given kind that keeps err for the log and shows detail to clients.
func Wrap(k Kind, detail string, err error) *Error { return &Error{Kind: k, Detail: detail, Err: err} }

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Detail + ": " + e.Err.Error()
	}
	return e.Detail
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first *Error in err's chain, Internal where there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is of kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }
