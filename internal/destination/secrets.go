package destination

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/outbound"
)

// Secrets are what a destination is told and nobody else.
type Secrets struct {
	Secret   string `json:"secret,omitempty" maxLength:"1000" doc:"Of webhooks: signs each request as Standard Webhooks do"`
	Token    string `json:"token,omitempty" maxLength:"4000" doc:"Bearer token of webhook and otlp; write key of segment; project key of posthog; token of nats"`
	Username string `json:"username,omitempty" maxLength:"200" doc:"Of nats and kafka (SASL)"`
	Password string `json:"password,omitempty" maxLength:"1000"`
	HashKey  string `json:"hash_key,omitempty" maxLength:"200" doc:"Of transform.hash; made where it is absent"`
}

// keep takes over the secrets that are not given anew.
func (s *Secrets) keep(old Secrets) {
	for _, x := range []struct {
		to   *string
		from string
	}{{&s.Secret, old.Secret}, {&s.Token, old.Token}, {&s.Username, old.Username}, {&s.Password, old.Password}, {&s.HashKey, old.HashKey}} {
		if *x.to == "" {
			*x.to = x.from
		}
	}
}

// set names the secrets that there are.
func (s *Secrets) set() []string {
	names := []string{}
	for _, x := range []struct{ name, value string }{{"secret", s.Secret}, {"token", s.Token}, {"username", s.Username}, {"password", s.Password}} {
		if x.value != "" {
			names = append(names, x.name)
		}
	}
	return names
}

// quoter says what a service said, without the secrets that it was sent: some repeat the request.
type quoter struct{ hidden *strings.Replacer }

func (s *Secrets) quoter() quoter {
	var hidden []string
	for _, secret := range []string{s.Secret, s.Token, s.Password} {
		if secret == "" {
			continue
		}
		hidden = append(hidden, secret, base64.StdEncoding.EncodeToString([]byte(secret+":"))) // basic authentication
		if quoted, err := jsontext.AppendQuote(nil, secret); err == nil {
			hidden = append(hidden, string(quoted[1:len(quoted)-1]))
		}
	}
	slices.SortFunc(hidden, func(a, b string) int { return len(b) - len(a) }) // one may begin like another
	var pairs []string
	for _, text := range hidden {
		pairs = append(pairs, text, "<secret>")
	}
	return quoter{strings.NewReplacer(pairs...)}
}

// quote is the beginning of a text from a service, fit for people and for a log line.
func (q quoter) quote(text string) string {
	return outbound.Printable(q.hidden.Replace(text), shownAnswer)
}
