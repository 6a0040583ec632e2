package proctest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports that no kernel gives to who asks for any: not to the test server or the connection of
// somebody else while the program that is to have one starts, or is away for a while.
const (
	lowestPort  = 12_000
	highestPort = 32_767
)

// given are the ports that this process has given out. It is a global because a port is one for
// all tests of a process.
var given struct {
	sync.Mutex
	ports map[int]bool
}

// Listen listens on a loopback port that is left to the caller also when it listens no more: each is
// given out once in a process, and by chance, because other processes choose as well.
func Listen() (net.Listener, error) {
	given.Lock()
	defer given.Unlock()
	if given.ports == nil {
		given.ports = make(map[int]bool)
	}
	var failed error
	for range 1000 {
		port := lowestPort + rand.IntN(highestPort-lowestPort+1)
		if given.ports[port] {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			given.ports[port] = true
			return l, nil
		}
		failed = err
	}
	return nil, errors.Join(errors.New("no free port is found"), failed)
}
