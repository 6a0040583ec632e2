package client

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Mode is what becomes of events.
type Mode uint8

// The modes.
const (
	Send     Mode = iota // to Tidemark
	Console              // written to Config.Output, one JSON object a line
	Disabled             // nothing at all, at no cost
)

// Policy is what happens when an event finds the buffer full.
type Policy uint8

// The policies.
const (
	DropNewest Policy = iota // the event is dropped
	DropOldest               // the oldest events that are not being sent are dropped
	Block                    // Track waits for room up to BlockFor, then the event is dropped
)

// Config is what a client needs to know. Only URL is required, and that only to Send.
type Config struct {
	URL string // of Tidemark, such as http://127.0.0.1:8080
	Key string // with the scope ingest; empty where the service has no keys

	Source string // the name of this application, which every event bears
	Mode   Mode
	Output io.Writer // of Console; os.Stderr when nil

	FlushEvents   int           // sent once so many wait; 100
	FlushInterval time.Duration // sent at least so often; 60 s
	FlushBytes    int           // sent once they have so many bytes; 512 KiB, at most 1 MiB
	EventBytes    int           // the largest event, as the service is configured; 32 KiB

	MaxBuffered int           // bytes of events held in memory; 32 MiB
	WhenFull    Policy        // DropNewest
	BlockFor    time.Duration // of Block; 1 s

	SpoolDir   string // where events wait instead of in memory; empty = in memory
	SpoolBytes int64  // bytes the spool may have on disk; 256 MiB, at least 1 MiB

	Timeout time.Duration // of one request; 10 s
	MinWait time.Duration // before the second attempt; 200 ms
	MaxWait time.Duration // between attempts, unless the service says later; 30 s

	// OnRefused is told of every event that will never be stored: the service says no to it, or it
	// cannot be written as JSON. It is called from the sender or from Track and must not wait, not
	// for Flush or Close either, which wait for it.
	OnRefused func(Refusal)

	HTTPClient *http.Client // with a transport of its own when nil
	Logger     *slog.Logger // slog.Default() when nil
}

// Refusal is an event that will never be stored, and why.
type Refusal struct {
	EventID string
	Reason  string
	Event   []byte // as it was sent; nil when it cannot be written as JSON
}

// What the service takes, by its contract.
const (
	batchEvents  = 100
	requestBytes = 1 << 20
)

// leastSpool leaves room for some segments.
const leastSpool = 1 << 20

// check fills in the defaults and says what cannot be.
func (c *Config) check() error {
	c.FlushEvents = cmp.Or(c.FlushEvents, 100)
	c.FlushInterval = cmp.Or(c.FlushInterval, 60*time.Second)
	c.FlushBytes = cmp.Or(c.FlushBytes, 512<<10)
	c.EventBytes = cmp.Or(c.EventBytes, 32<<10)
	c.MaxBuffered = cmp.Or(c.MaxBuffered, 32<<20)
	c.BlockFor = cmp.Or(c.BlockFor, time.Second)
	c.SpoolBytes = cmp.Or(c.SpoolBytes, 256<<20)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.MinWait = cmp.Or(c.MinWait, 200*time.Millisecond)
	c.MaxWait = max(cmp.Or(c.MaxWait, 30*time.Second), c.MinWait)
	if c.Output == nil {
		c.Output = os.Stderr
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	for _, n := range []struct {
		name     string
		is, from int64
	}{
		{"FlushEvents", int64(c.FlushEvents), 1}, {"FlushInterval", int64(c.FlushInterval), 1},
		{"FlushBytes", int64(c.FlushBytes), 1}, {"EventBytes", int64(c.EventBytes), 1},
		{"MaxBuffered", int64(c.MaxBuffered), 1}, {"BlockFor", int64(c.BlockFor), 1},
		{"SpoolBytes", c.SpoolBytes, leastSpool}, {"Timeout", int64(c.Timeout), 1}, {"MinWait", int64(c.MinWait), 1},
	} {
		if n.is < n.from {
			return fmt.Errorf("client: %s must be at least %d", n.name, n.from)
		}
	}
	if most := requestBytes - len("[]"); c.FlushBytes > most || c.EventBytes > most {
		return fmt.Errorf("client: FlushBytes and EventBytes must be at most %d, what one request may have", most)
	}
	if c.Mode > Disabled || c.WhenFull > Block {
		return errors.New("client: an unknown Mode or Policy")
	}
	if c.Mode == Send {
		return c.checkURL()
	}
	return nil
}

func (c *Config) checkURL() error {
	u, err := url.Parse(c.URL)
	if err != nil { // the error repeats the address, which may hold a password
		return errors.New("client: URL cannot be read")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("client: URL must be that of Tidemark, such as http://127.0.0.1:8080")
	}
	if strings.ContainsAny(c.Key, "\r\n\x00") {
		return errors.New("client: Key has characters that no key has")
	}
	return nil
}
