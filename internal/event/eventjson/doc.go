// Package eventjson reads and writes events as JSON: from clients, whom it does not trust,
// and from the journal, which it does.
//
//	client bytes ─▶ Elements ─▶ Decode ─▶ event.Event ─▶ Append ─▶ journal line, answer, export
//	                 syntax      rules,                              │
//	                 only        masks                   Parse ◀─────┘
//
// It promises that what Decode accepts is kept exactly: number texts, escapes and the order
// of members stay as they were sent; white space goes, and sensitive values are masked before
// any other part of the service sees them. What cannot be kept by every database is refused
// with its location: invalid UTF-8, lone surrogates, U+0000, duplicate names, numbers that
// overflow, and everything over a limit. Nothing is dropped silently: a field that no event
// has is refused, not ignored. No message ever repeats a value.
package eventjson
