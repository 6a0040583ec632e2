package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

func TestCodec(t *testing.T) {
	var c event.Counts
	c.Received[event.Analytics], c.Accepted = 5, 3
	for r := range c.Rejected {
		c.Rejected[r] = 1 << 60
	}
	for _, test := range []struct {
		name     string
		lines    []byte
		format   string // formatPlain, which older versions read, for all that is not compressed
		encoding string
	}{
		{"few", []byte("a\nb\n"), "1", ""},
		{"none", nil, "1", ""},
		{"many that are alike", bytes.Repeat([]byte("an event\n"), 200_000), "2", "s2"},
		{"just worth it", bytes.Repeat([]byte("event\n"), 171), "2", "s2"},
		{"just not", bytes.Repeat([]byte("event\n"), 170), "1", ""},
		{"by chance", noise(1 << 20), "1", ""},
		{"as many as there may be", make([]byte, maxLines), "2", "s2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var lender buffers
			b := lender.pack(test.lines)
			msg, err := encode("id", "writer", 1<<63, &c, b)
			if err != nil {
				t.Fatal(err)
			}
			if n := msg.Size() - len(msg.Data); n > headerRoom/2 {
				t.Fatalf("headers take %d bytes", n)
			}
			if f, e := msg.Header.Get(headerFormat), msg.Header.Get(headerEncoding); f != test.format || e != test.encoding {
				t.Fatalf("format %q, encoding %q", f, e)
			}
			if test.encoding != "" && len(msg.Data) > len(test.lines)/2 {
				t.Fatalf("%d bytes became %d", len(test.lines), len(msg.Data))
			}
			at := time.Unix(1, 0)
			m, ours, err := decode(msg.Header, 7, at)
			if err != nil || !ours {
				t.Fatal(ours, err)
			}
			if m.Seq != 7 || !m.Time.Equal(at) || m.Writer != "writer" || m.Total != 1<<63 || m.Counts != c || m.Lines != nil {
				t.Fatalf("got %+v", m)
			}
			if _, err := lender.lines(&m, msg.Data); err != nil || !bytes.Equal(m.Lines, test.lines) {
				t.Fatalf("the lines came back as %d bytes: %v", len(m.Lines), err)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		h    nats.Header
		ours bool
		ok   bool
	}{
		{"of somebody else", nats.Header{}, false, true},
		{"of a later version", nats.Header{headerFormat: {"3"}}, true, false},
		{"without total", nats.Header{headerFormat: {"1"}, headerCounts: {"{}"}}, true, false},
		{"without counts", nats.Header{headerFormat: {"1"}, headerTotal: {"1"}}, true, false},
		{"with unknown counts", nats.Header{headerFormat: {"1"}, headerTotal: {"1"}, headerCounts: {`{"rejected":{"whim":1}}`}}, true, false},
		{"whole", nats.Header{headerFormat: {"2"}, headerEncoding: {"s2"}, headerTotal: {"1"}, headerCounts: {"{}"}}, true, true},
		{"without encoding", nats.Header{headerFormat: {"2"}, headerTotal: {"1"}, headerCounts: {"{}"}}, true, false},
		{"of a later encoding", nats.Header{headerFormat: {"2"}, headerEncoding: {"zstd"}, headerTotal: {"1"}, headerCounts: {"{}"}}, true, false},
		{"plain with an encoding", nats.Header{headerFormat: {"1"}, headerEncoding: {"s2"}, headerTotal: {"1"}, headerCounts: {"{}"}}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, ours, err := decode(test.h, 4711, time.Now())
			if ours != test.ours || (err == nil) != test.ok {
				t.Fatalf("ours %v, error %v", ours, err)
			}
			if err != nil && !strings.Contains(err.Error(), "4711") {
				t.Fatalf("the error does not say where: %v", err)
			}
		})
	}
}

// damaged are data that do not stand for lines. Those that say they are large must take no memory.
func damaged() map[string][]byte {
	good := s2.Encode(nil, bytes.Repeat([]byte("an event\n"), 1000))
	altered := bytes.Clone(good)
	copy(altered[2:], []byte{0xff, 0xff, 0xff, 0xff, 0xff})
	return map[string][]byte{
		"nothing":            nil,
		"plain lines":        bytes.Repeat([]byte("an event\n"), 1000),
		"cut":                good[:len(good)-1],
		"longer":             append(bytes.Clone(good), 0, 'x'),
		"altered":            altered,
		"a length alone":     binary.AppendUvarint(nil, 1000),
		"over the bound":     s2.Encode(nil, make([]byte, maxLines+1)),
		"far over the bound": append(binary.AppendUvarint(nil, 1<<32-1), good...),
		"an endless length":  bytes.Repeat([]byte{0xff}, 20),
	}
}

func TestDamagedLines(t *testing.T) {
	for name, data := range damaged() {
		t.Run(name, func(t *testing.T) {
			var lender buffers
			m := Message{Seq: 4711, encoding: encodingS2}
			lent, err := lender.lines(&m, data)
			if !errs.Is(err, errs.Internal) || !strings.Contains(err.Error(), "4711") {
				t.Fatalf("the error is %v", err)
			}
			if lent != nil || m.Lines != nil {
				t.Fatalf("%d bytes are given out", len(m.Lines))
			}
		})
	}
}

// TestDamagedMessage: a reader of lines stops at what cannot be read, one of headers does not
// look at it.
func TestDamagedMessage(t *testing.T) {
	j := openEmbedded(t)
	l, err := j.current()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), Entry{Lines: bytes.Repeat([]byte("an event\n"), 1000)}); err != nil {
		t.Fatal(err)
	}
	d, err := j.writer.draft(&event.Counts{Accepted: 3}, body{data: damaged()["altered"], encoding: encodingS2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.publish(t.Context(), d.msg, 1); err != nil {
		t.Fatal(err)
	}
	j.fail(l, errors.New("the journal is to find what it did not write"))
	if _, err := j.awaitLink(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, headersOnly := range []bool{false, true} {
		r, err := j.Read(t.Context(), 0, headersOnly)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := r.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		m, err := r.Next(t.Context())
		switch {
		case headersOnly && (err != nil || m.Counts.Accepted != 3):
			t.Fatalf("by its headers: %+v %v", m, err)
		case !headersOnly && (!errs.Is(err, errs.Internal) || !strings.Contains(err.Error(), "message 2")):
			t.Fatalf("with its lines: %v", err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("1", "", "w", "12", `{"accepted":3,"received":{"analytics":3}}`, []byte("{}\n"))
	f.Add("", "", "", "", "", []byte(nil))
	f.Add("3", "", "w", "-1", `[]`, []byte("x"))
	f.Add("2", "zstd", "w", "1", `{}`, []byte("x"))
	f.Add("2", "s2", "w", "1", `{}`, s2.Encode(nil, bytes.Repeat([]byte("an event\n"), 300)))
	for _, data := range damaged() {
		if len(data) < 1000 {
			f.Add("2", "s2", "w", "1", `{}`, data)
		}
	}
	f.Fuzz(func(t *testing.T, format, encoding, writer, total, counts string, data []byte) {
		h := nats.Header{headerFormat: {format}, headerEncoding: {encoding}, headerWriter: {writer}, headerTotal: {total}, headerCounts: {counts}}
		m, ours, err := decode(h, 1, time.Unix(0, 0))
		if err != nil || !ours {
			return
		}
		var lender buffers
		lent, err := lender.lines(&m, data)
		if err != nil {
			return
		}
		if lent != nil && len(m.Lines) > maxLines {
			t.Fatalf("%d bytes became %d", len(data), len(m.Lines))
		}
		again, err := encode("id", m.Writer, m.Total, &m.Counts, lender.pack(m.Lines))
		if err != nil {
			t.Fatal(err)
		}
		back, _, err := decode(again.Header, 1, time.Unix(0, 0))
		if err == nil {
			_, err = lender.lines(&back, again.Data)
		}
		if err != nil || back.Total != m.Total || back.Counts != m.Counts || back.Writer != m.Writer || !bytes.Equal(back.Lines, m.Lines) {
			t.Fatalf("%+v came back as %+v: %v", m, back, err)
		}
	})
}
