package eventjson

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
)

var errNotOurs = errors.New("not a line that eventjson.Append wrote")

// Parse reads back what Append wrote. It trusts the contents and checks the form: the fields
// in Append's order and nothing else. Anything else is an error, so that an event is never
// stored in part. Nothing in e refers to line.
func Parse(line []byte, e *event.Event) error {
	l := lineReader{all: string(line)} // every text of the event is a part of this one copy
	*e = event.Event{
		ID:          l.text(l.need(`{"event_id":`)),
		Name:        l.text(l.need(`,"event_name":`)),
		Type:        event.Type(l.text(`,"event_type":`)),
		Timestamp:   l.time(`,"timestamp":`),
		ReceivedAt:  l.time(`,"received_at":`),
		UserID:      l.text(`,"user_id":`),
		AnonymousID: l.text(`,"anonymous_id":`),
		SessionID:   l.text(`,"session_id":`),
		Properties:  l.object(`,"properties":`, line),
		Metadata:    l.object(`,"metadata":`, line),
		Severity:    event.Severity(l.text(`,"severity":`)),
		Tags:        l.tags(`,"tags":[`),
		Source:      l.text(`,"source":`),
		UserAgent:   l.text(`,"user_agent":`),
		IPAddress:   l.text(`,"ip_address":`),
		Referrer:    l.text(`,"referrer":`),
		Timezone:    l.text(`,"timezone":`),
		SampleRate:  l.number(l.need(`,"sample_rate":`)),
		Processed:   l.boolean(l.need(`,"processed":`)),
		ProcessedAt: l.time(`,"processed_at":`),
	}
	if l.wrong || l.all[l.at:] != "}" {
		*e = event.Event{}
		return errNotOurs
	}
	return nil
}

// lineReader reads the fields of one line in order. A field that is not next is absent.
type lineReader struct {
	all   string
	at    int
	wrong bool
}

// next steps over label if that is what comes next.
func (l *lineReader) next(label string) bool {
	if l.wrong || !strings.HasPrefix(l.all[l.at:], label) {
		return false
	}
	l.at += len(label)
	return true
}

// need says that label must be next, and returns it.
func (l *lineReader) need(label string) string {
	l.wrong = l.wrong || !strings.HasPrefix(l.all[l.at:], label)
	return label
}

// upTo steps to end, relative to here, and returns what lies in between.
func (l *lineReader) upTo(end int) string {
	if end < 0 {
		l.wrong = true
		return ""
	}
	part := l.all[l.at : l.at+end]
	l.at += end
	return part
}

func (l *lineReader) text(label string) string {
	if !l.next(label) {
		return ""
	}
	return l.quoted()
}

func (l *lineReader) quoted() string {
	raw := l.upTo(stringEnd(l.all[l.at:]))
	if l.wrong {
		return ""
	}
	if strings.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	text, whole := unquote(nil, []byte(raw))
	l.wrong = l.wrong || !whole
	return string(text)
}

func (l *lineReader) time(label string) time.Time {
	if !l.next(label) {
		return time.Time{}
	}
	t, ok := parseTime([]byte(l.quoted()))
	l.wrong = l.wrong || !ok
	return t
}

func (l *lineReader) object(label string, line []byte) event.Object {
	if !l.next(label) {
		return nil
	}
	from := l.at
	l.upTo(objectEnd(l.all[from:]))
	if l.wrong {
		return nil
	}
	return append(make(event.Object, 0, l.at-from), line[from:l.at]...)
}

func (l *lineReader) tags(label string) (tags []string) {
	if !l.next(label) {
		return nil
	}
	for more := true; more && !l.wrong; more = l.next(",") {
		if tags == nil {
			tags = make([]string, 0, 4)
		}
		tags = append(tags, l.quoted())
	}
	l.wrong = l.wrong || !l.next("]")
	return tags
}

func (l *lineReader) number(label string) float64 {
	if !l.next(label) {
		return 0
	}
	if l.next("1,") { // nearly always
		l.at--
		return 1
	}
	f, err := strconv.ParseFloat(l.upTo(strings.IndexByte(l.all[l.at:], ',')), 64)
	l.wrong = l.wrong || err != nil
	return f
}

func (l *lineReader) boolean(label string) bool {
	if !l.next(label) {
		return false
	}
	if l.next("true") {
		return true
	}
	l.wrong = l.wrong || !l.next("false")
	return false
}

// stringEnd is the length of the JSON string that s begins with, -1 if there is none.
func stringEnd(s string) int {
	if s == "" || s[0] != '"' {
		return -1
	}
	for i := 1; ; {
		quote := strings.IndexByte(s[i:], '"')
		if quote < 0 {
			return -1
		}
		i += quote + 1
		slashes := 0
		for s[i-2-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
}

// objectEnd is the length of the JSON object that s begins with, -1 if there is none.
func objectEnd(s string) int {
	if s == "" || s[0] != '{' {
		return -1
	}
	for i, depth := 0, 0; i < len(s); i++ {
		switch s[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			end := stringEnd(s[i:])
			if end < 0 {
				return -1
			}
			i += end - 1
		}
	}
	return -1
}
