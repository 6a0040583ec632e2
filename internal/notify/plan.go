package notify

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
)

// plan is a configuration made ready.
type plan struct {
	cfg       Config
	receivers []*receiver // in the configuration's order
}

// receiver is one who is told.
type receiver struct {
	name     string
	kind     string
	matchers labels.Matchers
	resolved bool // is told of ends
	timeout  time.Duration
	sender   sender
	slots    chan struct{} // bounds what is sent at once
}

// maxSends is how many notifications one receiver gets at once.
const maxSends = 4

// makePlan checks the configuration and makes it ready.
func makePlan(cfg Config) (*plan, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	p := &plan{cfg: cfg}
	for i := range cfg.Receivers {
		c := &cfg.Receivers[i]
		ms, _, err := parseMatchers(c.Matchers)
		if err != nil {
			return nil, err
		}
		r := &receiver{
			name: c.Name, kind: c.Type, matchers: ms, resolved: cfg.SendResolved, timeout: c.Timeout,
			sender: newSender(c), slots: make(chan struct{}, maxSends),
		}
		if c.SendResolved != nil {
			r.resolved = *c.SendResolved
		}
		if r.timeout == 0 {
			r.timeout = defaultTimeout
		}
		p.receivers = append(p.receivers, r)
	}
	return p, nil
}

// streams reports whether the receiver groups alerts itself and wants to hear of each again and
// again while it is active.
func (r *receiver) streams() bool { return r.kind == Alertmanager }

func (p *plan) receiver(name string) *receiver {
	for _, r := range p.receivers {
		if r.name == name {
			return r
		}
	}
	return nil
}

// groupOf are the labels that an alert is grouped by.
func (p *plan) groupOf(ls map[string]string) map[string]string {
	if len(p.cfg.GroupBy) == 1 && p.cfg.GroupBy[0] == allLabels {
		return ls
	}
	g := make(map[string]string, len(p.cfg.GroupBy))
	for _, name := range p.cfg.GroupBy {
		if v, ok := ls[name]; ok {
			g[name] = v
		}
	}
	return g
}

// groupKey names a group as Alertmanager does.
func groupKey(ls map[string]string) string {
	var b strings.Builder
	b.WriteString("{}:{")
	for i, name := range slices.Sorted(maps.Keys(ls)) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name + "=" + strconv.Quote(ls[name]))
	}
	b.WriteString("}")
	return b.String()
}
