// Package event has the event itself: its fields, limits, rules, specialised forms and sampling.
//
// It promises that an event that passes Validate can be stored by every database, and that
// nothing is changed silently: what cannot be kept exactly is refused with its location.
// It imports only the standard library and knows no other room.
package event
