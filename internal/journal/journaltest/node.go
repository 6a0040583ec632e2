package journaltest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// nodeVariable tells a copy of the test program that it is to be a server.
const nodeVariable = "TIDEMARK_JOURNALTEST_NODE"

// startTimeout is how long a server may take to be ready.
const startTimeout = 2 * time.Minute

// nodeConfig is all that differs between the servers of a cluster.
type nodeConfig struct {
	Name   string
	Port   int
	Dir    string
	Route  int      // port for the other servers; 0 = there are none
	Routes []string // of all servers
}

// node is one running server.
type node interface {
	stop() // in good order
	kill() // as by a power cut of the machine
}

func newServer(c nodeConfig) (*server.Server, error) {
	opts := &server.Options{
		ServerName: c.Name, Host: "127.0.0.1", Port: c.Port,
		JetStream: true, StoreDir: c.Dir, NoSigs: true, NoLog: true,
	}
	if c.Route > 0 {
		opts.Cluster = server.ClusterOpts{Name: "tidemark", Host: "127.0.0.1", Port: c.Route}
		for _, r := range c.Routes {
			opts.Routes = append(opts.Routes, server.RoutesFromStr(r)...)
		}
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("making server %s: %w", c.Name, err)
	}
	s.Start()
	if !s.ReadyForConnections(startTimeout) {
		return nil, fmt.Errorf("server %s does not become ready", c.Name)
	}
	return s, nil
}

// inProcess is a server inside the test program.
type inProcess struct{ srv *server.Server }

func (n inProcess) stop() {
	n.srv.Shutdown()
	n.srv.WaitForShutdown()
}

func (n inProcess) kill() { n.stop() }

// ownProcess is a server in a process of its own, which ends at the latest with its standard input.
type ownProcess struct {
	cmd *exec.Cmd
	in  io.Closer
}

// NodeMain turns the program into a server when a Cluster has started it as one, and does not
// return then. A TestMain whose tests call StartProcesses calls it first.
func NodeMain() {
	text := os.Getenv(nodeVariable)
	if text == "" {
		return
	}
	var c nodeConfig
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		var s *server.Server
		if s, err = newServer(c); err == nil {
			fmt.Println("ready")
			_, err = io.Copy(io.Discard, os.Stdin)
			s.Shutdown()
			s.WaitForShutdown()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func startProcess(t testing.TB, c nodeConfig) node {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), nodeVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := ownProcess{cmd: cmd, in: in}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		n.kill()
		t.Fatalf("server %s does not start: %q %v", c.Name, line, err)
	}
	return n
}

func (n ownProcess) stop() {
	_ = n.in.Close() // the process may be gone already
	_ = n.cmd.Wait()
}

func (n ownProcess) kill() {
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
}
