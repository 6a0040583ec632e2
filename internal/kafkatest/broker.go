package kafkatest

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Topic is the topic that every broker has, with one partition: there the order is one.
const Topic = "events"

// Broker is one broker.
type Broker struct {
	t      testing.TB
	fake   *kfake.Cluster
	reader *kgo.Client // nil until somebody reads

	mu    sync.Mutex
	away  bool
	conns []net.Conn
}

// Start starts a broker.
func Start(t testing.TB, options ...kfake.Opt) *Broker {
	t.Helper()
	b := &Broker{t: t}
	listen := func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		return gate{l, b}, err
	}
	fake, err := kfake.NewCluster(append(options, kfake.NumBrokers(1), kfake.SeedTopics(1, Topic), kfake.ListenFn(listen))...)
	if err != nil {
		t.Fatal(err)
	}
	b.fake = fake
	t.Cleanup(func() {
		if b.reader != nil {
			b.reader.Close()
		}
		fake.Close()
	})
	return b
}

// Address is where it listens, as host:port.
func (b *Broker) Address() string { return strings.Join(b.fake.ListenAddrs(), ",") }

// Away takes the broker away, or brings it back.
func (b *Broker) Away(away bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away = away; away {
		for _, c := range b.conns {
			_ = c.Close()
		}
		b.conns = nil
	}
}

// Read returns records that were not read before, at most those that come within a while.
func (b *Broker) Read(within time.Duration) []*kgo.Record {
	b.t.Helper()
	if b.reader == nil {
		reader, err := kgo.NewClient(kgo.SeedBrokers(b.fake.ListenAddrs()...), kgo.ConsumeTopics(Topic))
		if err != nil {
			b.t.Fatal(err)
		}
		b.reader = reader
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return b.reader.PollFetches(ctx).Records()
}

// gate closes connections while the broker is away.
type gate struct {
	net.Listener
	b *Broker
}

// Accept waits for a connection that may stay.
func (g gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g.b.admits(c) {
			return c, nil
		}
		_ = c.Close()
	}
}

func (b *Broker) admits(c net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.away {
		b.conns = append(b.conns, c)
	}
	return !b.away
}
