package notify

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// sender brings messages to one receiver.
type sender interface {
	// send makes one try. The answer is for people; it holds no secret.
	send(ctx context.Context, m *message) (answer string, err error)
}

// message is what a receiver is told.
type message struct {
	id          string
	receiver    string
	groupKey    string
	labels      map[string]string // of the group
	alerts      []Alert
	reason      string
	externalURL string
	at          time.Time
}

// failure is a try that failed and whether another may help.
type failure struct {
	cause      string // holds no secret
	permanent  bool
	retryAfter time.Duration
}

func (f *failure) Error() string { return f.cause }

func (m *message) status() string {
	for i := range m.alerts {
		if m.alerts[i].Firing {
			return "firing"
		}
	}
	return "resolved"
}

// split returns the alerts that fire and those that have ended.
func (m *message) split() (firing, ended []Alert) {
	for _, a := range m.alerts {
		if a.Firing {
			firing = append(firing, a)
		} else {
			ended = append(ended, a)
		}
	}
	return firing, ended
}

// title is one line, as [FIRING:2] TidemarkHighCPU (critical).
func (m *message) title() string {
	firing, _ := m.split()
	state := "[RESOLVED]"
	if len(firing) > 0 {
		state = fmt.Sprintf("[FIRING:%d]", len(firing))
	}
	common := commonOf(m.alerts, func(a *Alert) map[string]string { return a.Labels })
	name := common[model.AlertNameLabel]
	if name == "" {
		name = fmt.Sprintf("%d alerts", len(m.alerts))
	}
	title := state + " " + name
	if severity := common["severity"]; severity != "" {
		title += " (" + severity + ")"
	}
	return oneLine(title)
}

// oneLine keeps a text from ending a header or a line of a protocol.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
}

// commonOf are the pairs that all alerts have alike.
func commonOf(alerts []Alert, of func(*Alert) map[string]string) map[string]string {
	common := map[string]string{}
	for i := range alerts {
		pairs := of(&alerts[i])
		if i == 0 {
			for k, v := range pairs {
				common[k] = v
			}
			continue
		}
		for k, v := range common {
			if pairs[k] != v {
				delete(common, k)
			}
		}
	}
	return common
}
