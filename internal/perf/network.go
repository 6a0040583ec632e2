package perf

import (
	"context"
	"io/fs"

	"github.com/shirou/gopsutil/v3/net"
)

// NetworkIO counts what went over one interface, or all of them.
type NetworkIO struct {
	ReceivedBytes, SentBytes  uint64
	ReceiveErrors, SendErrors uint64
}

// add adds what was counted between two readings. An interface that was not there before, or
// began anew, counts from zero; one that has gone keeps its share.
func (n *NetworkIO) add(was, is map[string]NetworkIO) {
	for name, now := range is {
		before := was[name]
		n.ReceivedBytes += since(before.ReceivedBytes, now.ReceivedBytes)
		n.SentBytes += since(before.SentBytes, now.SentBytes)
		n.ReceiveErrors += since(before.ReceiveErrors, now.ReceiveErrors)
		n.SendErrors += since(before.SendErrors, now.SendErrors)
	}
}

func since(was, is uint64) uint64 {
	if is < was {
		return is
	}
	return is - was
}

func (m *Machine) network(ctx context.Context) (map[string]NetworkIO, error) {
	all, err := net.IOCountersWithContext(ctx, true)
	if err != nil {
		return nil, err
	}
	counts := make(map[string]NetworkIO, len(all))
	for _, n := range all {
		if n.Name == "lo" || n.Name == "lo0" || len(m.physical) > 0 && !m.physical[n.Name] {
			continue
		}
		counts[n.Name] = NetworkIO{ReceivedBytes: n.BytesRecv, SentBytes: n.BytesSent, ReceiveErrors: n.Errin, SendErrors: n.Errout}
	}
	return counts, nil
}

// physicalInterfaces are those with a device behind them, below root as seen from "/". Where there
// are some, bridges, tunnels and the ends of containers' cables only count their bytes again.
// Inside a container there are none, and all count.
func physicalInterfaces(root fs.FS) map[string]bool {
	physical := map[string]bool{}
	entries, err := fs.ReadDir(root, "sys/class/net")
	if err != nil {
		return physical
	}
	for _, e := range entries {
		if _, err := fs.Stat(root, "sys/class/net/"+e.Name()+"/device"); err == nil {
			physical[e.Name()] = true
		}
	}
	return physical
}
