package destination

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/outbound"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// The kinds.
const (
	Webhook = "webhook"
	Segment = "segment"
	OTLP    = "otlp"
	NATS    = "nats"
	PostHog = "posthog"
	Kafka   = "kafka"
)

// The formats of webhooks.
const (
	CloudEvents = "cloudevents"
	JSON        = "json"
)

// The SASL mechanisms of kafka.
const (
	Plain       = "plain"
	ScramSHA256 = "scram-sha-256"
	ScramSHA512 = "scram-sha-512"
)

// Settings are what a destination is, without its secrets.
type Settings struct {
	Name     string `json:"name" maxLength:"50" doc:"Letters, digits, _ and -; a label of its metrics"`
	Kind     string `json:"kind" enum:"webhook,segment,otlp,nats,posthog,kafka"`
	Enabled  *bool  `json:"enabled,omitempty" doc:"Default true"`
	URL      string `json:"url" maxLength:"1000" doc:"The whole URL of the endpoint; nats://host:port for nats; host:port, several separated by commas, for kafka. No credentials in it"`
	Format   string `json:"format,omitempty" enum:"cloudevents,json" doc:"Of webhooks: a CloudEvents 1.0 batch (default), or {events: […]}"`
	Subject  string `json:"subject,omitempty" maxLength:"200" doc:"Of nats"`
	NoStream bool   `json:"no_stream,omitempty" doc:"Of nats: no JetStream stream keeps the subject, and the server's yes is enough"`
	Topic    string `json:"topic,omitempty" maxLength:"200" doc:"Of kafka"`
	TLS      bool   `json:"tls,omitempty" doc:"Of kafka: connect with TLS"`
	SASL     string `json:"sasl,omitempty" enum:"plain,scram-sha-256,scram-sha-512" doc:"Of kafka: how username and password are shown; default plain"`
	CA       string `json:"ca,omitempty" maxLength:"20000" doc:"Certificates as PEM that are trusted in place of the system's"`

	Filter    Filter    `json:"filter,omitzero" doc:"What goes on; empty = everything"`
	Transform Transform `json:"transform,omitzero" doc:"What is changed on the way"`
	Batch     Batch     `json:"batch,omitzero"`

	RatePerSecond         float64 `json:"rate_per_second,omitempty" minimum:"0" doc:"Events a second at most; 0 = no limit"`
	TimeoutMS             int     `json:"timeout_ms,omitempty" minimum:"0" maximum:"120000" doc:"Of one request; default 10000"`
	AllowPrivateAddresses bool    `json:"allow_private_addresses,omitempty" doc:"Without it only addresses of the open Internet are dialled"`
}

// Filter is which events go on: those that meet all of it.
type Filter struct {
	EventNames []string        `json:"event_names,omitempty" maxItems:"100"`
	EventTypes []string        `json:"event_types,omitempty" maxItems:"7"`
	Where      json.RawMessage `json:"where,omitempty" doc:"Conditions as questions have them: [{field, op, value}]"`
}

// Transform is what is changed in events on their way out. Fields are user_id, anonymous_id,
// session_id, ip_address, user_agent, referrer, or properties.a and metadata.a.
type Transform struct {
	Rename map[string]string `json:"rename,omitempty" doc:"From a property, as properties.plan, to its new name"`
	Drop   []string          `json:"drop,omitempty" maxItems:"100" doc:"Fields that are left out"`
	Hash   []string          `json:"hash,omitempty" maxItems:"100" doc:"Fields whose values are replaced by a keyed hash: equal values stay equal"`
}

// Batch is how many events go out together.
type Batch struct {
	Events   int `json:"events,omitempty" minimum:"0" maximum:"10000" doc:"At most; default 500"`
	Bytes    int `json:"bytes,omitempty" minimum:"0" maximum:"4194304" doc:"About, at most; default 450000"`
	LingerMS int `json:"linger_ms,omitempty" minimum:"0" maximum:"60000" doc:"How long the first waits for others; default 200"`
}

// Config is a destination as it is kept.
type Config struct {
	Settings
	Secrets Secrets `json:"secrets"`
}

// Defaults and bounds.
const (
	defaultEvents  = 500
	defaultBytes   = 450_000 // Segment takes 500 KB
	defaultLinger  = 200 * time.Millisecond
	defaultTimeout = 10 * time.Second
	maxEvents      = 10_000 // of a batch
	maxNames       = 100
	maxFields      = 100
)

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,50}$`)

func (s *Settings) enabled() bool { return s.Enabled == nil || *s.Enabled }

func (s *Settings) timeout() time.Duration {
	if s.TimeoutMS == 0 {
		return defaultTimeout
	}
	return time.Duration(s.TimeoutMS) * time.Millisecond
}

// tls verifies whom it speaks to, against the destination's own authorities where it has some.
func (s *Settings) tls(host string) *tls.Config {
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if s.CA != "" {
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM([]byte(s.CA)) // checked before
	}
	return c
}

func (b Batch) complete() Batch {
	if b.Events == 0 {
		b.Events = defaultEvents
	}
	if b.Bytes == 0 {
		b.Bytes = defaultBytes
	}
	if b.LingerMS == 0 {
		b.LingerMS = int(defaultLinger / time.Millisecond)
	}
	return b
}

// complete are the settings with the defaults in place of what was not given.
func (c *Config) complete() Settings {
	s, on := c.Settings, c.enabled()
	s.Enabled, s.Batch, s.TimeoutMS = &on, s.Batch.complete(), int(s.timeout()/time.Millisecond)
	if s.Kind == Webhook {
		s.Format = cmp.Or(s.Format, CloudEvents)
	}
	if s.Kind == Kafka && c.Secrets.Username != "" {
		s.SASL = cmp.Or(s.SASL, Plain)
	}
	return s
}

// encrypted reports whether connections are made with TLS.
func (s *Settings) encrypted() bool {
	if s.Kind == Kafka {
		return s.TLS
	}
	u, err := url.Parse(s.URL)
	return s.Kind == NATS && s.CA != "" || err == nil && (u.Scheme == "https" || u.Scheme == "tls")
}

// faults collects what is wrong with a configuration.
type faults []errs.Field

func (f *faults) add(location, message string) {
	*f = append(*f, errs.Field{Location: location, Message: message})
}

// check returns Invalid with everything that is wrong.
func (c *Config) check() error {
	var f faults
	if !nameForm.MatchString(c.Name) {
		f.add("/name", "must be 1 to 50 letters, digits, _ or -")
	}
	c.checkKind(&f)
	c.checkForeign(&f)
	if len(c.CA) > 20_000 || c.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CA)) {
		f.add("/ca", "must be certificates as PEM, at most 20000 characters")
	}
	b := c.Batch
	if b.Events < 0 || b.Events > maxEvents || b.Bytes < 0 || b.Bytes > 4<<20 || b.LingerMS < 0 || b.LingerMS > 60_000 {
		f.add("/batch", "must have at most 10000 events, 4194304 bytes and 60000 linger_ms")
	}
	if !(c.RatePerSecond >= 0 && c.RatePerSecond <= 1e9) {
		f.add("/rate_per_second", "must not be negative")
	}
	if c.TimeoutMS < 0 || c.TimeoutMS > 120_000 {
		f.add("/timeout_ms", "must be at most 120000")
	}
	c.checkTexts(&f)
	c.checkFilter(&f)
	c.checkTransform(&f)
	if len(f) > 0 {
		return &errs.Error{Kind: errs.Invalid, Detail: "the destination is invalid", Fields: f}
	}
	return nil
}

func (c *Config) checkTexts(f *faults) {
	s := &c.Secrets
	for _, x := range []struct {
		place, text string
		most        int
	}{
		{"/url", c.URL, 1000}, {"/subject", c.Subject, 200}, {"/topic", c.Topic, 200}, {"/secrets/secret", s.Secret, 1000}, {"/secrets/token", s.Token, 4000},
		{"/secrets/username", s.Username, 200}, {"/secrets/password", s.Password, 1000}, {"/secrets/hash_key", s.HashKey, 200},
	} {
		if utf8.RuneCountInString(x.text) > x.most {
			f.add(x.place, "must be at most "+strconv.Itoa(x.most)+" characters")
		}
	}
	if _, err := outbound.SigningKey(s.Secret); err != nil {
		f.add("/secrets/secret", err.Error())
	}
	for _, text := range []string{s.Token, s.Username} {
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			f.add("/secrets", "must have no control characters")
		}
	}
}

func (c *Config) checkKind(f *faults) {
	schemes := []string{"https", "http"}
	switch c.Kind {
	case Webhook, OTLP:
	case Segment, PostHog:
		if c.Secrets.Token == "" {
			f.add("/secrets/token", "is required: the key of the project")
		}
	case NATS:
		schemes = []string{"nats", "tls"}
		if c.Subject == "" || strings.ContainsAny(c.Subject, " \t\r\n*>") || strings.HasPrefix(c.Subject, "$") {
			f.add("/subject", "must be a subject without wildcards")
		}
	case Kafka:
		c.checkBrokers(f)
		return
	default:
		f.add("/kind", "must be webhook, segment, otlp, nats, posthog or kafka")
		return
	}
	if c.Kind == Webhook && c.Format != "" && c.Format != CloudEvents && c.Format != JSON {
		f.add("/format", "must be cloudevents or json")
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme):
		f.add("/url", "must be a URL that begins with "+schemes[0]+":// or "+schemes[1]+"://")
	case u.User != nil:
		f.add("/url", "must have no credentials: they belong into secrets")
	case u.Fragment != "":
		f.add("/url", "must have no fragment")
	}
}

// checkForeign refuses what its kind would pass over: who sets it believes that it works.
func (c *Config) checkForeign(f *faults) {
	for _, x := range []struct {
		place string
		set   bool
		kind  string
	}{
		{"/format", c.Format != "", Webhook}, {"/subject", c.Subject != "", NATS}, {"/no_stream", c.NoStream, NATS},
		{"/topic", c.Topic != "", Kafka}, {"/tls", c.TLS, Kafka}, {"/sasl", c.SASL != "", Kafka},
	} {
		if x.set && x.kind != c.Kind {
			f.add(x.place, "is for "+x.kind+" only")
		}
	}
	if c.CA != "" && !c.encrypted() {
		how := "a URL that begins with https://"
		if c.Kind == Kafka {
			how = `"tls": true`
		}
		f.add("/ca", "is of no use without TLS: it needs "+how)
	}
}

func (c *Config) checkBrokers(f *faults) {
	if c.Topic == "" || strings.ContainsFunc(c.Topic, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')
	}) {
		f.add("/topic", "must be letters, digits, ., _ and -")
	}
	if c.SASL != "" && !slices.Contains([]string{Plain, ScramSHA256, ScramSHA512}, c.SASL) {
		f.add("/sasl", "must be plain, scram-sha-256 or scram-sha-512")
	}
	if (c.SASL != "" || c.Secrets.Password != "") && c.Secrets.Username == "" {
		f.add("/secrets/username", "is required with a password or sasl")
	}
	for _, broker := range strings.Split(c.URL, ",") {
		host, port, err := net.SplitHostPort(strings.TrimSpace(broker))
		n, bad := strconv.ParseUint(port, 10, 16)
		if err != nil || host == "" || bad != nil || n == 0 || strings.ContainsAny(host, "/@") {
			f.add("/url", "must be host:port, several separated by commas")
			return
		}
	}
}

func (c *Config) checkFilter(f *faults) {
	if len(c.Filter.EventNames) > maxNames {
		f.add("/filter/event_names", "must be at most 100")
	}
	for i, t := range c.Filter.EventTypes {
		if !slices.Contains(event.Types, event.Type(t)) {
			f.add("/filter/event_types/"+strconv.Itoa(i), "is no event type")
		}
	}
	var p question.Parser
	p.Where("/filter/where", c.Filter.Where)
	if err := p.Err(); err != nil {
		var e *errs.Error
		if errors.As(err, &e) {
			*f = append(*f, e.Fields...)
		}
	}
}

func (c *Config) checkTransform(f *faults) {
	t := &c.Transform
	if len(t.Rename)+len(t.Drop)+len(t.Hash) > maxFields {
		f.add("/transform", "must name at most 100 fields")
	}
	for from, to := range t.Rename {
		if field, fault := question.ParseField(from); fault != "" || len(field.Path) == 0 {
			f.add("/transform/rename", "must name properties, as properties.plan")
		}
		if to == "" || len(to) > 100 {
			f.add("/transform/rename", "must give names of 1 to 100 characters")
		}
	}
	for _, x := range []struct {
		place string
		list  []string
	}{{"/transform/drop", t.Drop}, {"/transform/hash", t.Hash}} {
		for i, name := range x.list {
			field, fault := question.ParseField(name)
			if fault != "" || len(field.Path) == 0 && !slices.Contains(maskable, field.Column) {
				f.add(x.place+"/"+strconv.Itoa(i), "must be user_id, anonymous_id, session_id, ip_address, user_agent, referrer, or a property as properties.email")
			}
		}
	}
}

func readConfig(raw []byte) (Config, error) {
	var c Config
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, errs.Wrap(errs.Internal, "the configuration of a destination cannot be read", err)
	}
	return c, nil
}

func (c *Config) write() ([]byte, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, errs.Wrap(errs.Internal, "writing the configuration of a destination", err)
	}
	return raw, nil
}
