package destination

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/outbound"
)

const maxReply = 64 << 10 // bytes that are read of an answer

// httpSender posts events to one URL. It follows no redirects: they would take the secrets along.
type httpSender struct {
	url         string
	contentType string
	encode      func(dst []byte, events []event.Event) ([]byte, error)
	accepted    func(status string, reply []byte) (string, error) // what a success said; nil = its status
	bearer      string
	user        string // of basic authentication
	signs       bool
	key         []byte
	quoter      quoter
	client      *http.Client
	transport   *http.Transport
	now         func() time.Time
	size        int // of the body before, in bytes
}

func newHTTPSender(c *Config) *httpSender {
	t := &http.Transport{
		DialContext: outbound.Dialer(c.AllowPrivateAddresses), TLSClientConfig: c.tls(""), ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second,
		MaxResponseHeaderBytes: 32 << 10,
	}
	return &httpSender{
		url: c.URL, contentType: "application/json", transport: t,
		quoter: c.Secrets.quoter(),
		client: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
	}
}

func (h *httpSender) close() { h.transport.CloseIdleConnections() }

func (h *httpSender) send(ctx context.Context, events []event.Event) (string, error) {
	// A transport may still read the body of the request before, whose answer is there: it is left to it.
	body, err := h.encode(make([]byte, 0, h.size), events)
	if err != nil {
		return "", &failure{cause: "the events cannot be written: " + err.Error(), refused: true}
	}
	h.size = len(body)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return "", &failure{cause: "the URL cannot be used"}
	}
	r.Header.Set("Content-Type", h.contentType)
	r.Header.Set("User-Agent", "Tidemark")
	if h.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+h.bearer)
	}
	if h.user != "" {
		r.SetBasicAuth(h.user, "")
	}
	if h.signs {
		outbound.Sign(r.Header, h.key, batchID(events), h.now(), body)
	}
	res, err := h.client.Do(r)
	if err != nil {
		return "", &failure{cause: outbound.Cause(err)}
	}
	defer res.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	status := outbound.StatusText(res.StatusCode)
	if res.StatusCode/100 != 2 {
		return "", h.refusal(res, status, reply)
	}
	if err != nil {
		return "", &failure{cause: "the answer broke off"}
	}
	if h.accepted != nil {
		return h.accepted(status, reply)
	}
	return h.saying(status, reply), nil
}

// saying is a status with what was said beside it.
func (h *httpSender) saying(status string, reply []byte) string {
	if text := h.quoter.quote(string(reply)); text != "" {
		return status + ": " + text
	}
	return status
}

// refusal makes a failure of an answer that is no success. Only those that speak of what was sent
// count as refused: a wrong key or URL is mended by people, and the events wait for it.
func (h *httpSender) refusal(res *http.Response, status string, reply []byte) error {
	f := &failure{cause: "answered " + h.saying(status, reply)}
	switch res.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		f.refused = true
	default:
		f.retryAfter = outbound.RetryAfter(res.Header.Get("Retry-After"), longestWish)
	}
	return f
}
