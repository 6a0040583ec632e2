// Package event has the event itself: its fields, limits, rules, specialised forms and sampling.
//
// It promises that an event that passes Validate can be stored by every database, and that
// nothing is changed silently: what cannot be kept exactly is refused with its location.
// The specialised forms (Performance, Interaction, PageViewed, APICall) are for events that the
// service makes itself, of valid UTF-8; what clients send goes through eventjson, which also
// checks and masks the contents of properties.
//
// It imports only the standard library and knows no other room.
package event
