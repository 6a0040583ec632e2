package eventjson

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// batch is a request of 100 events of about 350 bytes, as a shop would send them.
func batch() []byte {
	var b bytes.Buffer
	for i := range 100 {
		sep := byte(',')
		if i == 0 {
			sep = '['
		}
		b.WriteByte(sep)
		fmt.Fprintf(&b, `{"event":"checkout_completed","event_type":"custom","timestamp":"2026-03-01T12:00:%02d.123456Z",`+
			`"user_id":"user-%d","session_id":"sess-8a7f-%d","properties":{"plan":"pro","amount":%d.99,"currency":"EUR",`+
			`"items":3,"coupon":null,"first":true,"page":"/checkout/step/3","duration_ms":123.4},`+
			`"tags":["web","checkout"],"source":"web","severity":"low"}`, i%60, i, i, i)
	}
	b.WriteByte(']')
	return b.Bytes()
}

func perSecond(b *testing.B, events int) {
	b.ReportMetric(float64(b.N)*float64(events)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkDecode is a whole request: the walk over the batch and every event in it.
func BenchmarkDecode(b *testing.B) {
	raw, d := batch(), testDecoder()
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	var e event.Event
	for b.Loop() {
		err := d.Elements(raw, func(_ int, element []byte) bool {
			_, err := d.Decode(element, &e)
			return err == nil
		})
		if err != nil || e.ID != "" || e.SessionID != "sess-8a7f-99" {
			b.Fatal("the batch was not decoded", err)
		}
	}
	perSecond(b, 100)
}

func BenchmarkElements(b *testing.B) {
	raw, d := batch(), testDecoder()
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := d.Elements(raw, func(int, []byte) bool { n++; return true }); err != nil || n != 100 {
			b.Fatal(n, err)
		}
	}
	perSecond(b, 100)
}

func BenchmarkAppend(b *testing.B) {
	e := benchEvent(b)
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		line = Append(line[:0], &e)
	}
	b.SetBytes(int64(len(line)))
	perSecond(b, 1)
}

func BenchmarkParse(b *testing.B) {
	e := benchEvent(b)
	line := Append(nil, &e)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Parse(line, &e); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b, 1)
}

func benchEvent(b *testing.B) event.Event {
	var e event.Event
	d := testDecoder()
	err := d.Elements(batch(), func(_ int, element []byte) bool {
		_, err := d.Decode(element, &e)
		if err != nil {
			b.Fatal(err)
		}
		return false
	})
	if err != nil {
		b.Fatal(err)
	}
	e.ID, e.ReceivedAt = "0198c0de-7a5b-7c3d-8e4f-0123456789ab", testNow
	return e
}
