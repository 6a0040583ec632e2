package destination

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// lending is a body that a request may read for longer than it takes to be answered: a service can
// answer before it has read all, and who gives up does not wait for what is being written.
type lending struct {
	data []byte

	mu   sync.Mutex
	open int // readers that may still read
}

// reader reads the body, as one of several when a request is tried on another connection.
func (l *lending) reader() io.ReadCloser {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open++
	return &lentReader{of: l, left: bytes.NewReader(l.data)}
}

// back returns the memory of the body for the next one, nil while somebody reads it.
func (l *lending) back() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open > 0 {
		return nil
	}
	return l.data
}

// lentReader can be closed while it is read, and reads nothing afterwards.
type lentReader struct {
	of   *lending
	left *bytes.Reader // nil when it is closed
}

var errGivenBack = errors.New("the body is closed")

func (r *lentReader) Read(p []byte) (int, error) {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	if r.left == nil {
		return 0, errGivenBack
	}
	return r.left.Read(p)
}

func (r *lentReader) Close() error {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	if r.left != nil {
		r.left = nil
		r.of.open--
	}
	return nil
}
