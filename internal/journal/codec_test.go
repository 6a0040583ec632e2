package journal

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tidemark-obs/tidemark/internal/event"
)

func TestCodec(t *testing.T) {
	var c event.Counts
	c.Received[event.Analytics], c.Accepted = 5, 3
	for r := range c.Rejected {
		c.Rejected[r] = 1 << 60
	}
	msg, err := encode("id", "writer", 1<<63, &c, []byte("a\nb\n"))
	if err != nil {
		t.Fatal(err)
	}
	if n := msg.Size() - len(msg.Data); n > headerRoom/2 {
		t.Fatalf("headers take %d bytes", n)
	}
	at := time.Unix(1, 0)
	m, ours, err := decode(msg.Header, msg.Data, 7, at)
	if err != nil || !ours {
		t.Fatal(ours, err)
	}
	if m.Seq != 7 || !m.Time.Equal(at) || m.Writer != "writer" || m.Total != 1<<63 || m.Counts != c || string(m.Lines) != "a\nb\n" {
		t.Fatalf("got %+v", m)
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
		{"of a later version", nats.Header{headerFormat: {"2"}}, true, false},
		{"without total", nats.Header{headerFormat: {"1"}, headerCounts: {"{}"}}, true, false},
		{"without counts", nats.Header{headerFormat: {"1"}, headerTotal: {"1"}}, true, false},
		{"with unknown counts", nats.Header{headerFormat: {"1"}, headerTotal: {"1"}, headerCounts: {`{"rejected":{"whim":1}}`}}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, ours, err := decode(test.h, []byte("x\n"), 1, time.Now())
			if ours != test.ours || (err == nil) != test.ok {
				t.Fatalf("ours %v, error %v", ours, err)
			}
			if m.Lines != nil {
				t.Fatalf("lines are given out: %q", m.Lines)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("1", "w", "12", `{"accepted":3,"received":{"analytics":3}}`, []byte("{}\n"))
	f.Add("", "", "", "", []byte(nil))
	f.Add("2", "w", "-1", `[]`, []byte("x"))
	f.Fuzz(func(t *testing.T, format, writer, total, counts string, lines []byte) {
		h := nats.Header{headerFormat: {format}, headerWriter: {writer}, headerTotal: {total}, headerCounts: {counts}}
		m, ours, err := decode(h, lines, 1, time.Unix(0, 0))
		if err != nil || !ours {
			return
		}
		again, err := encode("id", m.Writer, m.Total, &m.Counts, m.Lines)
		if err != nil {
			t.Fatal(err)
		}
		back, _, err := decode(again.Header, again.Data, 1, time.Unix(0, 0))
		if err != nil || back.Total != m.Total || back.Counts != m.Counts || back.Writer != m.Writer {
			t.Fatalf("%+v came back as %+v: %v", m, back, err)
		}
	})
}
