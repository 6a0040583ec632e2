package client

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answerKind is what one attempt came to.
type answerKind uint8

const (
	judged  answerKind = iota // some events at least have a verdict
	tooMuch                   // refused as a whole; fewer events may pass
	again                     // nothing was said of the events
)

type answer struct {
	kind  answerKind
	cause string
	after time.Duration // the service's own wish; 0 = none
}

const (
	gzipFrom    = 1400    // bytes: what fits into one packet is not worth it
	answerBytes = 4 << 20 // read of an answer at most
	mostWait    = time.Hour
)

// poster makes one attempt at a time.
type poster struct {
	cfg  *Config
	http *http.Client
	url  string
	gzip *gzip.Writer
}

func newPoster(c *Config, h *http.Client) *poster {
	own := *h
	if own.CheckRedirect == nil { // a redirect is no place for events and keys
		own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	z, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // fails only for another level
	return &poster{cfg: c, http: &own, gzip: z, url: strings.TrimSuffix(c.URL, "/") + "/api/analytics/batch-track"}
}

// send makes one attempt for some events of a batch and notes the verdicts.
func (p *poster) send(ctx context.Context, b *batch, which []int) answer {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	body, zipped := p.write(b, which)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return answer{kind: again, cause: err.Error()}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "tidemark-go-client")
	if zipped {
		req.Header.Set("Content-Encoding", "gzip")
	}
	if p.cfg.Key != "" {
		req.Header.Set("Authorization", "Bearer "+p.cfg.Key)
	}
	res, err := p.http.Do(req)
	if err != nil {
		return answer{kind: again, cause: err.Error()}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, answerBytes))
	if err != nil {
		return answer{kind: again, cause: "reading the answer: " + err.Error()}
	}
	return judge(res, text, b, which)
}

// write makes the body of a request, compressed where that pays. It is a new one each time: a
// transport may still read the last one when its answer is there.
func (p *poster) write(b *batch, which []int) (body []byte, zipped bool) {
	const ratio = 4 // of what is saved, at least as a rule
	size := len("[]")
	for _, i := range which {
		size += len(b.event(i)) + 1
	}
	var buf bytes.Buffer
	var w io.Writer = &buf
	if zipped = size >= gzipFrom; zipped {
		buf.Grow(size / ratio)
		p.gzip.Reset(&buf)
		w = p.gzip
	} else {
		buf.Grow(size)
	}
	// Nothing here can fail: it all goes to memory.
	sep := []byte("[")
	for _, i := range which {
		_, _ = w.Write(sep)
		_, _ = w.Write(b.event(i))
		sep = []byte(",")
	}
	_, _ = w.Write([]byte("]"))
	if zipped {
		_ = p.gzip.Close()
	}
	return buf.Bytes(), zipped
}

// judge reads an answer. Only what Tidemark itself says of the events is a verdict: a wrong key, a
// wrong address or a proxy's page says nothing of them.
func judge(res *http.Response, text []byte, b *batch, which []int) answer {
	ours := isProblem(res.Header)
	switch {
	case res.StatusCode == http.StatusOK:
		if readResults(text, b, which) {
			return answer{kind: judged}
		}
		return answer{kind: again, cause: "the answer is not one of Tidemark's"}
	case res.StatusCode == http.StatusUnprocessableEntity && ours && readFaults(text, b, which):
		return answer{kind: judged}
	case res.StatusCode == http.StatusRequestEntityTooLarge,
		ours && (res.StatusCode == http.StatusBadRequest || res.StatusCode == http.StatusUnprocessableEntity):
		return answer{kind: tooMuch, cause: causeOf(res, text)}
	default:
		return answer{kind: again, cause: causeOf(res, text), after: retryAfter(res.Header.Get("Retry-After"), time.Now())}
	}
}

func isProblem(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == "application/problem+json"
}

// readResults notes the verdict on each event. It reports whether the answer fits the request.
func readResults(text []byte, b *batch, which []int) bool {
	var a struct {
		Results []struct {
			Status string  `json:"status"`
			Error  *string `json:"error"`
		} `json:"results"`
	}
	if json.Unmarshal(text, &a) != nil || len(a.Results) != len(which) {
		return false
	}
	for _, r := range a.Results {
		if r.Status != "accepted" && r.Status != "sampled" && r.Status != "rejected" {
			return false
		}
	}
	for n, i := range which {
		switch r := a.Results[n]; r.Status {
		case "accepted":
			b.verdicts[i] = sent
		case "sampled":
			b.verdicts[i] = sampled
		default:
			why := "rejected"
			if r.Error != nil {
				why = *r.Error
			}
			b.refuse(i, why)
		}
	}
	return true
}

// readFaults notes which events a refusal of all of them names; it names some at least. Where it
// does not, a smaller request tells.
func readFaults(text []byte, b *batch, which []int) bool {
	var p struct {
		Errors []struct {
			Location string `json:"location"`
			Message  string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(text, &p) != nil {
		return false
	}
	named := false
	for _, e := range p.Errors {
		index, field, _ := strings.Cut(strings.TrimPrefix(e.Location, "/"), "/")
		n, err := strconv.Atoi(index)
		if err != nil || n < 0 || n >= len(which) || b.verdicts[which[n]] != none {
			continue
		}
		b.refuse(which[n], strings.TrimSpace(field+" "+e.Message))
		named = true
	}
	return named
}

// causeOf is an answer in one line.
func causeOf(res *http.Response, text []byte) string {
	var p struct {
		Detail string `json:"detail"`
	}
	if isProblem(res.Header) && json.Unmarshal(text, &p) == nil && p.Detail != "" {
		return fmt.Sprintf("%d: %s", res.StatusCode, p.Detail)
	}
	return res.Status
}

// retryAfter reads seconds or a date.
func retryAfter(header string, now time.Time) time.Duration {
	if header == "" {
		return 0
	}
	// A number that is too large to be one is the largest here.
	if seconds, err := strconv.ParseUint(header, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(mostWait/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), mostWait)
	}
	return 0
}

// idOf is the id that encoder.begin wrote.
func idOf(event []byte) string {
	var e struct {
		ID string `json:"event_id"`
	}
	if json.Unmarshal(event, &e) != nil {
		return ""
	}
	return e.ID
}
