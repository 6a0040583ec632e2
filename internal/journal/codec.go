package journal

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// The headers of a message. The id is JetStream's own, by which a cluster recognises a message
// that is sent again.
const (
	headerFormat = "Tidemark-Format"
	headerWriter = "Tidemark-Writer"
	headerTotal  = "Tidemark-Total"
	headerCounts = "Tidemark-Counts"
	headerID     = nats.MsgIdHdr

	format = "1"
)

// headerRoom is more than all headers of a message take, in bytes.
const headerRoom = 4 << 10

// encode makes the message of one group. The result refers to lines.
func encode(id, writer string, total uint64, counts *event.Counts, lines []byte) (*nats.Msg, error) {
	c, err := json.Marshal(counts)
	if err != nil {
		return nil, errs.Wrap(errs.Internal, "writing the counts of a journal message", err)
	}
	return &nats.Msg{
		Subject: subject,
		Data:    lines,
		Header: nats.Header{
			headerFormat: {format},
			headerID:     {id},
			headerWriter: {writer},
			headerTotal:  {strconv.FormatUint(total, 10)},
			headerCounts: {string(c)},
		},
	}, nil
}

// decode reads what encode made. A message without our format is not ours.
func decode(h nats.Header, lines []byte, seq uint64, at time.Time) (m Message, ours bool, err error) {
	m = Message{Seq: seq, Time: at.UTC()}
	switch f := h.Get(headerFormat); f {
	case "":
		return m, false, nil
	case format:
	default:
		return m, true, errs.Wrap(errs.Internal, "reading the journal", fmt.Errorf("message %d has a format this version does not know", seq))
	}
	m.Writer = h.Get(headerWriter)
	if m.Total, err = strconv.ParseUint(h.Get(headerTotal), 10, 64); err == nil {
		err = json.Unmarshal([]byte(h.Get(headerCounts)), &m.Counts)
	}
	if err != nil {
		return m, true, errs.Wrap(errs.Internal, "reading the journal", fmt.Errorf("message %d: its headers: %w", seq, err))
	}
	m.Lines = lines
	return m, true, nil
}
