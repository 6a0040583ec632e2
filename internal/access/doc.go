// Package access decides who may do what: keys with scopes, and how often they may.
//
//	request ─▶ Authorize ─▶ key's hash in a snapshot in memory ─▶ Principal with scopes
//	        ─▶ Admit     ─▶ token buckets per key and address  ─▶ go on, or 429
//	Run     ─▶ reads the keys every 2 s, writes when each was last used every 30 s
//
// It promises: a key is kept only as its SHA-256; deciding on a request needs no database, so
// a flood of bad keys reaches none and events are let in while it is down; a revoked key stops
// working within seconds on every replica that can read the database; before the keys were
// read once nobody is let in; memory is bounded by the keys there are and MaxAddresses.
//
// With no keys at all everybody may do everything, unless KeyRequired is set, as it must be on
// anything but loopback. A revoked key still counts as one: revoking the last does not open
// the service.
package access
