package eventjson

import (
	"bytes"

	"github.com/tidemark-obs/tidemark/internal/event"
)

const (
	rejectionStart  = `{"rejected":`
	rejectionReason = `,"reason":`
)

// AppendRejection appends the journal line of an event that was refused, without the newline,
// so that its sender can ask what became of it.
func AppendRejection(dst []byte, id string, reason event.Reason) []byte {
	dst = appendString(append(dst, rejectionStart...), id)
	dst = append(dst, rejectionReason...)
	return append(appendString(dst, reason.String()), '}')
}

// ParseRejection reads back what AppendRejection wrote. Other lines cost it one comparison.
func ParseRejection(line []byte) (id, reason string, ok bool) {
	if !bytes.HasPrefix(line, []byte(rejectionStart)) {
		return "", "", false
	}
	l := lineReader{all: string(line)}
	id = l.text(rejectionStart)
	reason = l.text(l.need(rejectionReason))
	if l.wrong || l.all[l.at:] != "}" {
		return "", "", false
	}
	return id, reason, true
}
