package destination

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/outbound"
)

// Secrets are what a destination is told and nobody else.
type Secrets struct {
	Secret   string `json:"secret,omitempty" maxLength:"1000" nullable:"true" doc:"Of webhooks: signs each request as Standard Webhooks do"`
	Token    string `json:"token,omitempty" maxLength:"4000" nullable:"true" doc:"Bearer token of webhook and otlp; write key of segment; project key of posthog; token of nats"`
	Username string `json:"username,omitempty" maxLength:"200" nullable:"true" doc:"Of nats and kafka (SASL)"`
	Password string `json:"password,omitempty" maxLength:"1000" nullable:"true"`
	HashKey  string `json:"hash_key,omitempty" maxLength:"200" nullable:"true" doc:"Of transform.hash; made where it is absent, and anew where it is null"`

	removed []string // by name: what a request says there is none of
}

// UnmarshalJSONFrom reads the secrets of a request, where null says that there is none any more.
func (s *Secrets) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == jsontext.KindNull { // as if it were absent
		return d.SkipValue()
	}
	var told struct { // what is null becomes nil, what is absent stays as it is here
		Secret   *string `json:"secret"`
		Token    *string `json:"token"`
		Username *string `json:"username"`
		Password *string `json:"password"`
		HashKey  *string `json:"hash_key"`
	}
	given := [...]**string{&told.Secret, &told.Token, &told.Username, &told.Password, &told.HashKey}
	for _, g := range given {
		*g = new(string)
	}
	if err := json.UnmarshalDecode(d, &told); err != nil {
		return err
	}
	for i, x := range s.all() {
		if *given[i] == nil {
			s.removed = append(s.removed, x.name)
		} else {
			*x.value = **given[i]
		}
	}
	return nil
}

type namedSecret struct {
	name  string
	value *string
}

func (s *Secrets) all() [5]namedSecret {
	return [...]namedSecret{{"secret", &s.Secret}, {"token", &s.Token}, {"username", &s.Username}, {"password", &s.Password}, {"hash_key", &s.HashKey}}
}

// keep takes over the secrets that are neither given anew nor removed.
func (s *Secrets) keep(old Secrets) {
	before := old.all()
	for i, x := range s.all() {
		if *x.value == "" && !slices.Contains(s.removed, x.name) {
			*x.value = *before[i].value
		}
	}
}

// set names the secrets that there are. Every destination has a hash_key.
func (s *Secrets) set() []string {
	names := []string{}
	for _, x := range s.all() {
		if *x.value != "" && x.value != &s.HashKey {
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
