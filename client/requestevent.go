package client

import (
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// contextLength is the longest user agent that an event may have.
const contextLength = 1000

// track makes an event of a request, if the rates say so.
func (m *middleware) track(x *exchange, r *http.Request, whole bool) {
	route := routeOf(r)
	if route == "" {
		route = "unmatched" // callers choose paths, and there are too many of them
	}
	method := knownMethod(r.Method, "OTHER")
	who, rate := x.who.Load(), 1.0
	if x.status < http.StatusInternalServerError {
		rate = m.rate(method + " " + route)
	}
	if rate < 1 && !within(sampleKey(who, x.id[0]), rate) {
		return
	}
	e := m.c.beginAs(who, nil)
	if rate < 1 {
		e.number("sample_rate", rate)
	}
	e.someText("user_agent", cut(r.UserAgent(), contextLength))
	e.text("method", method)
	e.text("path", route)
	e.number("status_code", float64(x.status))
	e.milliseconds("duration_ms", time.Since(x.start))
	e.name("properties")
	e.buf = append(e.buf, `{"request_bytes":`...)
	e.float(float64(x.received(r)), 64)
	e.number("response_bytes", float64(x.written))
	e.someText("request_id", x.id[0])
	if span := trace.SpanContextFromContext(r.Context()); span.IsSampled() {
		e.text("trace_id", span.TraceID().String())
	}
	if !whole {
		e.bool("panicked", true)
	}
	e.buf = append(e.buf, '}')
	m.c.finish(r.Context(), e)
}

func (m *middleware) rate(route string) float64 {
	if len(m.m.SampleRates) > 0 {
		if rate, ok := m.m.SampleRates[route]; ok {
			return rate
		}
	}
	if m.m.SampleRate == 0 {
		return 1
	}
	return m.m.SampleRate
}

// sampleKey is whom the sampling keeps together.
func sampleKey(who *identity, requestID string) string {
	for _, id := range [...]string{who.user, who.anonymous, who.session} {
		if id != "" {
			return id
		}
	}
	if requestID == "" { // nobody to keep together: by chance
		return string(appendID(make([]byte, 0, 36), time.Now()))
	}
	return requestID
}

// within decides by a hash, the same in every process: whoever is kept at one rate is kept at
// every higher one. The service samples by a hash as well. This one begins elsewhere: two equal
// hashes would keep the same persons twice, and both rates together would count them wrongly.
func within(key string, rate float64) bool {
	h := uint64(0x9e3779b97f4a7c15)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return float64(h>>11)/(1<<53) < rate
}

// cut shortens text to whole characters within n bytes.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}
