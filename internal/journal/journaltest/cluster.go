package journaltest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// Cluster is a JetStream cluster on the loopback interface whose servers can be stopped, killed
// and started one by one.
type Cluster struct {
	t     testing.TB
	start func(testing.TB, nodeConfig) node
	conf  []nodeConfig
	held  [][]net.Listener // keep the ports of each server free until it starts
	nodes []node           // nil where it does not run
}

// StartCluster starts n servers inside the test program that form one JetStream cluster, or a
// single server when n is 1. They end with the test.
func StartCluster(t testing.TB, n int) *Cluster {
	t.Helper()
	return startCluster(t, n, func(t testing.TB, c nodeConfig) node {
		t.Helper()
		s, err := newServer(c)
		if err != nil {
			t.Fatal(err)
		}
		return inProcess{s}
	})
}

// StartProcesses is like StartCluster, with each server in a process of its own, so that it can
// be killed. TestMain must call NodeMain.
func StartProcesses(t testing.TB, n int) *Cluster {
	t.Helper()
	return startCluster(t, n, startProcess)
}

func startCluster(t testing.TB, n int, start func(testing.TB, nodeConfig) node) *Cluster {
	t.Helper()
	dir := t.TempDir()
	c := &Cluster{t: t, start: start, conf: make([]nodeConfig, n), held: make([][]net.Listener, n), nodes: make([]node, n)}
	t.Cleanup(func() {
		for i := range n {
			c.release(i)
			c.Stop(i)
		}
	})
	var routes []string
	for i := range n {
		c.conf[i] = nodeConfig{Name: nodeName(i), Port: c.hold(i), Dir: filepath.Join(dir, strconv.Itoa(i))}
		if n > 1 {
			c.conf[i].Route = c.hold(i)
			routes = append(routes, local(c.conf[i].Route))
		}
		// A server that has removed its last stream clears away the directory above it, too, and
		// may do so while it makes the next one. It leaves a directory that is not empty.
		if err := os.MkdirAll(c.files(i, "kept"), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		c.conf[i].Routes = routes
		c.Start(i)
	}
	Eventually(t, "JetStream answers", func() bool {
		return c.Manage(func(ctx context.Context, js jetstream.JetStream) error {
			_, err := js.AccountInfo(ctx)
			return err
		}) == nil
	})
	if n > 1 {
		c.awaitAll()
	}
	return c
}

// awaitAll waits until a stream finds room on every server: JetStream answers as soon as most have
// met, and refuses one with more replicas than it knows servers.
func (c *Cluster) awaitAll() {
	c.t.Helper()
	const name = "PROBE"
	Eventually(c.t, "every server takes a stream", func() bool {
		return c.Manage(func(ctx context.Context, js jetstream.JetStream) error {
			_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{"probe"}, Replicas: len(c.conf)})
			return err
		}) == nil
	})
	c.Drop(name)
}

func local(port int) string { return "nats://127.0.0.1:" + strconv.Itoa(port) }

func nodeName(i int) string { return fmt.Sprintf("n%d", i) }

// URL names all servers.
func (c *Cluster) URL() string {
	urls := make([]string, len(c.conf))
	for i := range c.conf {
		urls[i] = c.Address(i)
	}
	return strings.Join(urls, ",")
}

// Address names server i alone.
func (c *Cluster) Address(i int) string { return local(c.conf[i].Port) }

// Start starts server i on what it left behind.
func (c *Cluster) Start(i int) {
	c.t.Helper()
	c.release(i)
	c.nodes[i] = c.start(c.t, c.conf[i])
}

// Stop ends server i in good order; without one it does nothing.
func (c *Cluster) Stop(i int) {
	if c.nodes[i] != nil {
		c.nodes[i].stop()
		c.nodes[i] = nil
	}
}

// Kill ends server i without warning, where it has a process of its own.
func (c *Cluster) Kill(i int) {
	if c.nodes[i] != nil {
		c.nodes[i].kill()
		c.nodes[i] = nil
	}
}

// Manage runs f with a client of whatever server answers.
func (c *Cluster) Manage(f func(context.Context, jetstream.JetStream) error) error {
	nc, err := nats.Connect(c.URL(), nats.Timeout(5*time.Second))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return f(ctx, js)
}

// Whole tells whether all servers of a stream have all that it holds, and which one leads.
func (c *Cluster) Whole(stream string) (leader int, whole bool) {
	leader = -1
	err := c.Manage(func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		info := s.CachedInfo()
		if info.Cluster == nil {
			leader, whole = 0, true
			return nil
		}
		whole = len(info.Cluster.Replicas) == len(c.conf)-1
		for _, r := range info.Cluster.Replicas {
			whole = whole && r.Current && !r.Offline
		}
		for i := range c.conf {
			if nodeName(i) == info.Cluster.Leader {
				leader = i
			}
		}
		return nil
	})
	return leader, err == nil && whole && leader >= 0
}

// Drop removes a stream, if there is one. It waits until the files are gone, too, which is some
// time after the servers say so: they would add what they find then to a stream of the same name.
func (c *Cluster) Drop(stream string) {
	c.t.Helper()
	Eventually(c.t, "the stream is gone", func() bool {
		err := c.Manage(func(ctx context.Context, js jetstream.JetStream) error { return js.DeleteStream(ctx, stream) })
		return err == nil || errors.Is(err, jetstream.ErrStreamNotFound)
	})
	Eventually(c.t, "the files of the stream are gone", func() bool {
		for i := range c.conf {
			for _, name := range []string{stream, "." + stream} { // renamed so while it is removed
				if _, err := os.Stat(c.files(i, name)); !errors.Is(err, fs.ErrNotExist) {
					return false
				}
			}
		}
		return true
	})
}

// Spoil leaves server i without a place for new streams, until it is restored.
func (c *Cluster) Spoil(i int) (restore func()) {
	c.t.Helper()
	place := filepath.Join(c.conf[i].Dir, "jetstream")
	if err := errors.Join(os.Rename(place, place+".away"), os.WriteFile(place, nil, 0o600)); err != nil {
		c.t.Fatal(err)
	}
	return func() {
		if err := os.Rename(place, place+".file"); err != nil {
			c.t.Error(err)
		}
		if err := os.Rename(place+".away", place); err != nil {
			c.t.Error(err)
		}
	}
}

// files is where server i keeps a stream.
func (c *Cluster) files(i int, stream string) string {
	return filepath.Join(c.conf[i].Dir, "jetstream", "$G", "streams", stream)
}

// hold finds a port that nobody listens on, and listens on it until server i starts.
func (c *Cluster) hold(i int) int {
	c.t.Helper()
	l, err := proctest.Listen()
	if err != nil {
		c.t.Fatal(err)
	}
	c.held[i] = append(c.held[i], l)
	return l.Addr().(*net.TCPAddr).Port
}

func (c *Cluster) release(i int) {
	for _, l := range c.held[i] {
		_ = l.Close() // nobody has used it
	}
	c.held[i] = nil
}

// Eventually waits until a condition holds, and fails the test when it does not within two minutes.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	end := time.Now().Add(2 * time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(end) {
			t.Fatalf("not within two minutes: %s", what)
		}
		<-tick.C
	}
}
