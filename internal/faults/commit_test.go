//go:build linux

package faults

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// TestCommitReplyLost resets the database connection around COMMIT, so that the service cannot
// know whether its transaction counts.
func TestCommitReplyLost(t *testing.T) {
	story(t)
	for _, at := range []moment{beforeCommit, afterCommit, atReply} {
		t.Run(at.String(), func(t *testing.T) {
			direct := pgtest.URL(t)
			u, err := url.Parse(direct)
			if err != nil {
				t.Fatal(err)
			}
			p := startProxy(t, u.Host)
			u.Host = p.addr()
			s, b := newService(t, u.String()), newBook()
			s.start()
			l := startLoad(t, b, steady, s)
			b.awaitYes(t, 1000)
			p.arm(at)
			want := int64(pick(8, 50))
			proctest.Eventually(t, pick(5*time.Minute, 15*time.Minute), "connections reset", func() error {
				if n := p.cuts.Load(); n < want {
					return fmt.Errorf("%d of %d", n, want)
				}
				return nil
			})
			p.disarm()
			l.stop()
			verify(t, b, nil, s)
			t.Logf("%d connections reset %s", p.cuts.Load(), at)
		})
	}
}
