//go:build linux

package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/pgtest"
)

// TestTwoInstances runs two services on one PostgreSQL. Clients retry at the other one, a thousand
// send the same event at the same moment to both, and one of the two is killed meanwhile.
func TestTwoInstances(t *testing.T) {
	story(t)
	url := pgtest.URL(t)
	first, second, b := newService(t, url), newService(t, url), newBook()
	first.start()
	second.start()
	l := startLoad(t, b, steady, first, second)
	for round := range pick(2, 20) {
		crowd(t, b, fmt.Sprintf("same-%d", round), 1000, first, second)
		victim := [...]*service{first, second}[rand.IntN(2)]
		b.awaitYes(t, 1+rand.IntN(2000))
		victim.Kill()
		b.awaitYes(t, 500) // the other one goes on
		victim.start()
	}
	b.awaitYes(t, 2000)
	l.stop()
	all := verify(t, b, nil, first, second)
	t.Logf("accepted %d + %d, stored %d + %d, duplicate %d + %d", all[0].Accepted, all[1].Accepted,
		all[0].Stored, all[1].Stored, all[0].Duplicate, all[1].Duplicate)
}

// crowd sends one event n times at once, to all services.
func crowd(t *testing.T, b *book, id string, n int, services ...*service) {
	t.Helper()
	client := &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: n}}
	defer client.CloseIdleConnections()
	var ready, all sync.WaitGroup
	ready.Add(n)
	for i := range n {
		all.Go(func() {
			body := singleBody(id)
			ready.Done()
			ready.Wait()
			for tries := 0; ; tries++ { // a busy machine may make it come again
				out, sent := b.post(client, services[i%len(services)].address()+"/api/analytics/track", body, []string{id})
				if sent {
					b.note(out, id)
				}
				if sent && out == yes {
					return
				}
				if tries == 20 {
					b.fault("a duplicate among %d was not acknowledged", n)
					return
				}
				lapse(100 * time.Millisecond)
			}
		})
	}
	all.Wait()
}
