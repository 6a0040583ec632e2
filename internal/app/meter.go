package app

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// meter shows on a terminal how far a move is, and nowhere else.
type meter struct {
	mu    sync.Mutex
	out   io.Writer // nil = no terminal
	verb  string
	total int64          // -1 = not known
	share func() float64 // how much of all is read, where the total is not known; nil = not known either
	began time.Time
	shown time.Time
	first int64 // events that an earlier attempt moved
	width int
}

const meterEvery = 200 * time.Millisecond

func newMeter(out io.Writer, verb string, first, total int64) *meter {
	m := &meter{verb: verb, total: total, began: time.Now(), first: first}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		m.out = out
	}
	return m
}

// show writes over the last line, a few times a second.
func (m *meter) show(events, rejected int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if m.out == nil || now.Sub(m.shown) < meterEvery {
		return
	}
	m.shown = now
	m.print(m.line(events, rejected, now))
}

func (m *meter) print(line string) {
	pad := max(0, m.width-len(line))
	m.width = len(line)
	fmt.Fprint(m.out, "\r", line, strings.Repeat(" ", pad))
}

// line is as "exported 1,200,000 of 10,000,000 events, 240,000/s, 3 rejected", or "imported 1,200,000
// events (12 %), …".
func (m *meter) line(events, rejected int64, now time.Time) string {
	s := m.verb + " " + thousands(events)
	if m.total > 0 {
		s += " of " + thousands(m.total)
	}
	s += " events"
	if m.total <= 0 && m.share != nil {
		s += " (" + strconv.Itoa(int(100*m.share())) + " %)"
	}
	if took := now.Sub(m.began).Seconds(); took >= 0.1 {
		s += ", " + thousands(int64(float64(events-m.first)/took)) + "/s"
	}
	if rejected > 0 {
		s += ", " + thousands(rejected) + " rejected"
	}
	return s
}

// clear takes the line away.
func (m *meter) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.out != nil && m.width > 0 {
		m.print("")
		fmt.Fprint(m.out, "\r")
	}
}

// thousands is a number that can be read.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
