package destination

import (
	"slices"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/kafkatest"
)

// A topic has every event, in order, over an outage of its broker.
func TestKafkaIsAway(t *testing.T) {
	broker, w := kafkatest.Start(t), newWorld(t, 0)
	w.put(Settings{Name: "k", Kind: Kafka, URL: broker.Address(), Topic: kafkatest.Topic, TimeoutMS: 1000}, Secrets{})
	w.old = time.Hour // however long it is away, events are not too old for it
	w.send(100)
	until(t, "the first events", func() bool { return w.metric("delivered_total", "k") >= 20 })
	broker.Away(true)
	w.send(100)
	until(t, "a failure", func() bool { return w.metric("failed_total", "k") > 0 })
	broker.Away(false)
	until(t, "the rest", func() bool { return w.metric("delivered_total", "k") >= 200 && w.metric("lag_events", "k") == 0 })
	var ids []string // each as it came first
	seen := map[string]bool{}
	until(t, "200 records", func() bool {
		for _, r := range broker.Read(time.Second) {
			if id := string(r.Headers[0].Value); !seen[id] {
				seen[id], ids = true, append(ids, id)
			}
		}
		return len(ids) >= 200
	})
	if !slices.IsSorted(ids) || ids[0] != eventOf(0).ID || ids[199] != eventOf(199).ID {
		t.Errorf("the topic has %v", ids)
	}
}
