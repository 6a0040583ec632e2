package access

import (
	"context"
	"crypto/subtle"
	"net/http"
	"strings"

	"golang.org/x/time/rate"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// Principal is who makes a request.
type Principal struct {
	KeyID   string // empty without a key
	KeyName string
	Scopes  Scope
	Local   bool // from the local admin socket
	bucket  *rate.Limiter
}

// Anonymous reports whether the request came without a key, because none are configured.
func (p Principal) Anonymous() bool { return p.KeyID == "" && !p.Local }

type localAdmin struct{}

// WithLocalAdmin marks requests that came through a socket only the owner of the service can
// open: they may do everything, without a key and without limit.
func WithLocalAdmin(ctx context.Context) context.Context {
	return context.WithValue(ctx, localAdmin{}, true)
}

// Authorize finds out who makes r and whether they may do what needs all of need. Kinds:
// Unavailable before the keys are known, Unauthorized without a valid key (RateLimited when
// one address does that too often), Forbidden when the key lacks the scope.
func (a *Access) Authorize(r *http.Request, need Scope) (Principal, error) {
	if r.Context().Value(localAdmin{}) != nil {
		return Principal{Scopes: Admin, Local: true}, nil
	}
	keys := a.keys.Load()
	if keys == nil {
		return Principal{}, errs.New(errs.Unavailable, "the access keys are not known yet")
	}
	if !keys.any && !a.config.KeyRequired {
		return Principal{Scopes: Admin}, nil
	}
	key, problem := keyOf(r.Header)
	if problem != "" {
		return Principal{}, a.refuse(r, problem)
	}
	e := keys.find(key)
	if e == nil {
		return Principal{}, a.refuse(r, "the key is not valid")
	}
	e.state.touch(a.config.Now())
	p := Principal{KeyID: e.id, KeyName: e.name, Scopes: e.scopes, bucket: e.state.bucket}
	if !e.scopes.Has(need) {
		return p, errs.New(errs.Forbidden, "the key lacks the scope "+strings.Join(need.Names(), " and "))
	}
	return p, nil
}

// find looks a key up by its hash; how long that takes tells nothing about any key.
func (s *snapshot) find(key string) *entry {
	h, ok := hashKey(key)
	if !ok {
		return nil
	}
	e := s.valid[h]
	if e == nil || subtle.ConstantTimeCompare(e.hash[:], h[:]) != 1 {
		return nil
	}
	return e
}

// refuse answers a request without a valid key.
func (a *Access) refuse(r *http.Request, problem string) error {
	a.refused.Add(1)
	if wait := a.failures.take(a.ClientAddr(r), 1, a.config.Now()); wait > 0 {
		return tooMany("too many requests without a valid key", wait)
	}
	return errs.New(errs.Unauthorized, problem)
}

// keyOf reads the key of a request, or says what is wrong with it. Both headers may stand
// together when they say the same; what is not a Bearer token does not count beside X-API-Key.
func keyOf(h http.Header) (key, problem string) {
	own, bearer := h["X-Api-Key"], h["Authorization"]
	if len(own) > 1 || len(bearer) > 1 {
		return "", "more than one key was given"
	}
	if len(own) == 1 {
		key = strings.TrimSpace(own[0])
	}
	if len(bearer) == 1 {
		scheme, token, _ := strings.Cut(strings.TrimSpace(bearer[0]), " ")
		token = strings.TrimSpace(token)
		switch {
		case !strings.EqualFold(scheme, "Bearer"):
			if key == "" {
				return "", "the Authorization header must be a Bearer key"
			}
		case key != "" && subtle.ConstantTimeCompare([]byte(key), []byte(token)) != 1:
			return "", "two different keys were given"
		default:
			key = token
		}
	}
	if key == "" {
		return "", "a key is needed, as Authorization: Bearer or X-API-Key"
	}
	return key, ""
}
