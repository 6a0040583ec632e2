//go:build linux

package faults

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTerminateUnderLoad stops the process as an operator does: requests under way are answered,
// the exit code is 0, and nothing acknowledged is missing after the next start.
func TestTerminateUnderLoad(t *testing.T) {
	story(t)
	onEach(t, func(t *testing.T, url string) {
		s, b := newService(t, url), newBook()
		s.start()
		l := startLoad(t, b, steady, s)
		for round := range pick(2, 10) {
			b.awaitYes(t, 2000)
			underWay := make([]*halfSent, 20)
			for i := range underWay {
				underWay[i] = beginRequest(t, s, fmt.Sprintf("under-way-%d-%d", round, i))
			}
			stopped := make(chan int, 1)
			go func() { stopped <- s.Stop(2 * time.Minute) }()
			for _, h := range underWay {
				b.note(h.finish(t), h.id)
			}
			if code := <-stopped; code != 0 {
				t.Errorf("exit code %d after SIGTERM", code)
			}
			s.start()
		}
		l.stop()
		verify(t, b, nil, s)
	})
}

// halfSent is a request whose body is held back; the server is known to wait for it.
type halfSent struct {
	id   string
	body []byte
	conn net.Conn
	in   *bufio.Reader
}

// beginRequest sends the head of a request and waits until the server asks for the body: from
// then on the request is under way.
func beginRequest(t *testing.T, s *service, id string) *halfSent {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.address(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
	h := &halfSent{id: id, body: singleBody(id), conn: conn, in: bufio.NewReader(conn)}
	fmt.Fprintf(conn, "POST /api/analytics/track HTTP/1.1\r\nHost: tidemark\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(h.body))
	line, err := h.in.ReadString('\n')
	if err == nil && !strings.Contains(line, " 100 ") {
		err = fmt.Errorf("answered %q", line)
	}
	if err == nil {
		_, err = h.in.ReadString('\n') // the empty line after it
	}
	if err != nil {
		t.Fatalf("waiting to be asked for the body: %v", err)
	}
	return h
}

// finish sends the body; whatever the service is doing meanwhile, it owes an answer.
func (h *halfSent) finish(t *testing.T) outcome {
	t.Helper()
	defer h.conn.Close()
	if _, err := h.conn.Write(h.body); err != nil {
		t.Errorf("a request under way was cut off: %v", err)
		return cut
	}
	res, err := http.ReadResponse(h.in, nil)
	if err != nil {
		t.Errorf("a request under way got no answer: %v", err)
		return cut
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
		return yes
	case http.StatusServiceUnavailable:
		return no
	}
	t.Errorf("a request under way was answered %d", res.StatusCode)
	return cut
}
