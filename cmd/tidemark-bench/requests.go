//go:build linux

package main

import (
	"fmt"
)

// request is an HTTP request that is encoded once and sent again and again with new events in it.
type request struct {
	text  []byte
	slots []slot
}

// newRequest encodes a POST of so many events: one alone for the track door, more as a list.
func (c *crowd) newRequest(host, path string, events int) *request {
	var body []byte
	slots := make([]slot, events)
	for i := range slots {
		sep := byte(',')
		if i == 0 {
			sep = '['
		}
		if events > 1 {
			body = append(body, sep)
		}
		body, slots[i] = c.event(body)
	}
	if events > 1 {
		body = append(body, ']')
	}
	head := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, host, len(body))
	for i := range slots {
		slots[i] = slots[i].shifted(len(head))
	}
	return &request{text: append(head, body...), slots: slots}
}

func (s slot) shifted(by int) slot {
	return slot{id: s.id + by, time: s.time + by, user: s.user + by, session: s.session + by, path: s.path + by, amount: s.amount + by, took: s.took + by}
}

// renew gives every event of the request new values.
func (c *crowd) renew(r *request) {
	for _, s := range r.slots {
		c.patch(r.text, s, c.clock())
	}
}
