package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// running is a service that runs, asked over its socket or over HTTP.
type running struct {
	http *http.Client
	base string // URL without the path
	key  string
}

// socketBase is the URL of a service behind its socket.
const socketBase = "http://tidemark"

// throughSocket asks the service that holds a data directory.
func throughSocket(dir string) *running {
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", adminSocket(dir))
	}}
	return &running{http: &http.Client{Transport: t}, base: socketBase}
}

// throughHTTP asks the service at a URL with an access key, which may be empty.
func throughHTTP(address, key string) (*running, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, errs.New(errs.Invalid, "the service's URL must be as http://host:8080")
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	return &running{http: &http.Client{Transport: t}, base: strings.TrimSuffix(address, "/"), key: key}, nil
}

func (r *running) close() error {
	r.http.CloseIdleConnections()
	return nil
}

// ask sends a request and returns the answer if it is one of success. The caller closes its body.
func (r *running) ask(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if r.key != "" {
		req.Header.Set("Authorization", "Bearer "+r.key)
	}
	res, err := r.http.Do(req)
	if err != nil {
		if r.base == socketBase && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)) {
			return nil, errs.New(errs.Unavailable, "the data directory is held by another command, or by a service that starts or stops; try again when it has ended")
		}
		return nil, errs.Wrap(errs.Unavailable, "the running service does not answer", err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	return nil, errors.Join(refusal(res), res.Body.Close())
}

// refusal is a service's answer as an error.
func refusal(res *http.Response) error {
	kind := errs.Invalid
	switch res.StatusCode {
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		kind = errs.Unavailable
	case http.StatusTooManyRequests:
		kind = errs.RateLimited
	case http.StatusNotFound:
		kind = errs.NotFound
	case http.StatusRequestEntityTooLarge:
		kind = errs.TooLarge
	case http.StatusInternalServerError:
		kind = errs.Internal
	}
	var p struct {
		Title, Detail string
		Errors        []struct{ Location, Message string }
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&p); err != nil || p.Title == "" {
		return errs.New(kind, "the running service answered "+res.Status)
	}
	said := fmt.Sprintf("the running service answered: %s: %s", p.Title, p.Detail)
	for _, e := range p.Errors {
		said += "; " + e.Location + " " + e.Message
	}
	return errs.New(kind, said)
}

// call asks for a JSON document; answer may be nil.
func (r *running) call(ctx context.Context, method, path string, body []byte, contentType string, answer any) (err error) {
	res, err := r.ask(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	if answer == nil {
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
	return json.NewDecoder(res.Body).Decode(answer)
}
