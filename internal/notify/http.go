package notify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tidemark-obs/tidemark/internal/outbound"
)

const (
	maxReply  = 64 << 10 // bytes that are read of an answer
	shownBody = 200      // characters of an answer that people see
)

// poster posts JSON to one URL. It follows no redirects: they would take the token along.
type poster struct {
	url    Secret
	token  Secret
	client *http.Client
}

func newPoster(to, token Secret, allowPrivate bool) *poster {
	return &poster{url: to, token: token, client: &http.Client{
		Transport: &http.Transport{
			DialContext: outbound.Dialer(allowPrivate), DisableKeepAlives: true, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 32 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// post returns the status and the beginning of the body of a 2xx answer; all else is a failure.
func (p *poster) post(ctx context.Context, body []byte, header http.Header) (status string, reply []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, string(p.url), bytes.NewReader(body))
	if err != nil {
		return "", nil, &failure{cause: "the URL cannot be used", permanent: true}
	}
	r.Header = header
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Tidemark")
	if p.token != "" {
		r.Header.Set("Authorization", "Bearer "+string(p.token))
	}
	res, err := p.client.Do(r)
	if err != nil {
		return "", nil, unreachable(err)
	}
	defer res.Body.Close()
	reply, err = io.ReadAll(io.LimitReader(res.Body, maxReply))
	if res.StatusCode/100 == 2 {
		if err != nil {
			return "", nil, &failure{cause: "the answer broke off"}
		}
		return outbound.StatusText(res.StatusCode), reply, nil
	}
	return "", nil, refused(res, p.hide(string(reply)))
}

// hide takes the secrets out of what a receiver answers: some repeat what they were sent.
func (p *poster) hide(s string) string {
	for _, secret := range []Secret{p.url, p.token} {
		if secret != "" {
			s = strings.ReplaceAll(s, string(secret), hidden)
		}
	}
	if u, err := url.Parse(string(p.url)); err == nil {
		for _, part := range []string{u.Path, u.RawQuery} {
			if len(part) > 8 {
				s = strings.ReplaceAll(s, part, hidden)
			}
		}
	}
	return s
}

// unreachable makes a failure of an error of the client. An address that may not be dialled is one
// for good.
func unreachable(err error) error {
	return &failure{cause: outbound.Cause(err), permanent: errors.Is(err, outbound.ErrPrivate)}
}

// refused makes a failure of an answer that is no success. A client error is for good, but for
// those that say to come again.
func refused(res *http.Response, reply string) error {
	f := &failure{cause: "answered " + outbound.StatusText(res.StatusCode)}
	if text := outbound.Printable(reply, shownBody); text != "" {
		f.cause += ": " + text
	}
	switch {
	case res.StatusCode == http.StatusTooManyRequests, res.StatusCode == http.StatusRequestTimeout,
		res.StatusCode == http.StatusTooEarly, res.StatusCode >= 500:
		f.retryAfter = outbound.RetryAfter(res.Header.Get("Retry-After"), longestPause)
	default:
		f.permanent = true
	}
	return f
}
