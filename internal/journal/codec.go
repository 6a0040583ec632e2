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
	headerFormat   = "Tidemark-Format"
	headerWriter   = "Tidemark-Writer"
	headerTotal    = "Tidemark-Total"
	headerCounts   = "Tidemark-Counts"
	headerEncoding = "Tidemark-Encoding"
	headerID       = nats.MsgIdHdr
)

// The formats. A version that knows the first one only must not take compressed bytes for lines:
// it would make dead letters of them. So these have a format of their own, at which it stops.
const (
	formatPlain  = "1" // the data are the lines
	formatPacked = "2" // the data are the lines in the encoding that a header names
)

// encodingS2 is one S2 block, see github.com/klauspost/compress/s2.
const encodingS2 = "s2"

// headerRoom is more than all headers of a message take, in bytes.
const headerRoom = 4 << 10

// encode makes the message of one group. The result refers to what b refers to.
func encode(id, writer string, total uint64, counts *event.Counts, b body) (*nats.Msg, error) {
	c, err := json.Marshal(counts)
	if err != nil {
		return nil, errs.Wrap(errs.Internal, "writing the counts of a journal message", err)
	}
	h := nats.Header{
		headerFormat: {formatPlain},
		headerID:     {id},
		headerWriter: {writer},
		headerTotal:  {strconv.FormatUint(total, 10)},
		headerCounts: {string(c)},
	}
	if b.encoding != "" {
		h[headerFormat], h[headerEncoding] = []string{formatPacked}, []string{b.encoding}
	}
	return &nats.Msg{Subject: subject, Data: b.data, Header: h}, nil
}

// decode reads what encode wrote into the headers; the lines are left to lines. A message without
// our format is not ours.
func decode(h nats.Header, seq uint64, at time.Time) (m Message, ours bool, err error) {
	m = Message{Seq: seq, Time: at.UTC(), encoding: h.Get(headerEncoding)}
	f := h.Get(headerFormat)
	switch {
	case f == "":
		return m, false, nil
	case f == formatPlain && m.encoding == "":
	case f == formatPacked && m.encoding == encodingS2:
	default:
		return m, true, errs.Wrap(errs.Internal, "reading the journal", fmt.Errorf("message %d has a format or an encoding this version does not know", seq))
	}
	m.Writer = h.Get(headerWriter)
	if m.Total, err = strconv.ParseUint(h.Get(headerTotal), 10, 64); err == nil {
		err = json.Unmarshal([]byte(h.Get(headerCounts)), &m.Counts)
	}
	if err != nil {
		return m, true, errs.Wrap(errs.Internal, "reading the journal", fmt.Errorf("message %d: its headers: %w", seq, err))
	}
	return m, true, nil
}

// lines gives m its lines, which data stand for. Where it returns a lent buffer, they lie in that.
func (b *buffers) lines(m *Message, data []byte) (*[]byte, error) {
	if m.encoding == "" {
		m.Lines = data
		return nil, nil
	}
	lent, err := b.unpack(data)
	if err != nil {
		return nil, errs.Wrap(errs.Internal, "reading the journal", fmt.Errorf("message %d: its lines: %w", m.Seq, err))
	}
	m.Lines = *lent
	return lent, nil
}
