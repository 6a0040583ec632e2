package journal_test

import (
	"testing"

	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/journal/journaltest"
)

func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("the suite on three servers in one process does not run with -short; on the embedded one it does")
	}
	c := journaltest.StartCluster(t, 3)
	journaltest.Run(t, 3, func(t *testing.T) journaltest.Opener {
		t.Cleanup(func() { c.Drop("TIDEMARK") }) // after the journals of the test are closed
		return func(t *testing.T, change ...func(*journal.Config)) *journal.Journal {
			return openJournal(t, func(cfg *journal.Config) { cfg.URL = c.URL() }, change...)
		}
	})
}

// TestClusterKills kills one server after the other under load, leaders and followers, and reads
// all the time. A short run kills one of each.
func TestClusterKills(t *testing.T) {
	nodes := journaltest.StartProcesses(t, 3)
	where := func(c *journal.Config) { c.URL = nodes.URL() }
	openJournal(t, where) // makes the stream
	j := openJournal(t, where, func(c *journal.Config) { c.AppendTimeout = journal.DefaultAppendTimeout })
	journaltest.Eventually(t, "the stream has three replicas", func() bool { _, whole := nodes.Whole("TIDEMARK"); return whole })
	c := newClient()
	stop := c.load(j, 16, 500)
	defer stop()
	r, err := j.Read(t.Context(), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	goal := 0
	more := func() bool { acked, _ := c.count(); return acked > goal }
	rounds := 4
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		goal += 500
		journaltest.Eventually(t, "events are appended", more)
		victim := -1
		journaltest.Eventually(t, "all servers have everything", func() bool {
			leader, whole := nodes.Whole("TIDEMARK")
			victim = (leader + round%2) % 3 // the leader and a follower in turn
			return whole
		})
		nodes.Kill(victim)
		goal, _ = c.count()
		goal += 500
		journaltest.Eventually(t, "two servers go on", more)
		nodes.Start(victim)
		for seq := range j.LastAppended() / 8 {
			if _, err := r.Next(t.Context()); err != nil {
				t.Fatalf("the reader after %d in round %d: %v", seq, round, err)
			}
		}
	}
	stop()
	c.verify(t, j)
}
