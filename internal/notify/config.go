package notify

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/tidemark-obs/tidemark/internal/outbound"
)

// Config says who is told, how alerts are grouped, and how often.
type Config struct {
	GroupBy        []string      // labels; "..." = all, nothing = everything in one group
	GroupWait      time.Duration // before a new group is told, so that it is told whole
	GroupInterval  time.Duration // before a change in a group is told
	RepeatInterval time.Duration // before the same is told again
	SendResolved   bool
	ExternalURL    string // where people find the service; for links
	Receivers      []Receiver
}

// The types of receivers.
const (
	Alertmanager = "alertmanager"
	Webhook      = "webhook"
	Slack        = "slack"
	Email        = "email"
)

// Receiver is one who is told of the alerts that all its matchers match.
type Receiver struct {
	Name         string
	Type         string
	Matchers     []string      // as severity="critical"; none = every alert
	SendResolved *bool         // nil = as Config says
	Timeout      time.Duration // of one try; 0 = 10 s

	URL                   Secret // of alertmanager, webhook and slack: may hold a token
	BearerToken           Secret // of alertmanager and webhook
	Secret                Secret // of webhook: signs what is sent
	AllowPrivateAddresses bool   // of webhook and slack
	Channel               string // of slack, where the URL does not say it
	Username              string // of slack

	Smarthost string // of email: host:port
	TLS       string // of email: starttls (default), implicit, none
	From      string
	To        []string
	AuthUser  string
	Password  Secret
}

const (
	maxReceivers   = 50
	maxMatchers    = 20
	maxMatcher     = 1000 // bytes
	defaultTimeout = 10 * time.Second
	allLabels      = "..."
)

// names of receivers are label values of metrics and keys of the log.
var receiverName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,60}$`)

// Check reports every value that cannot be; an error names its key below notifications.
func (c *Config) Check() error {
	var all []error
	bad := func(key, format string, args ...any) {
		all = append(all, fmt.Errorf("notifications."+key+": "+format, args...))
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"group_wait", c.GroupWait}, {"group_interval", c.GroupInterval}, {"repeat_interval", c.RepeatInterval}} {
		if d.value <= 0 {
			bad(d.key, "must be above 0")
		}
	}
	if c.RepeatInterval < c.GroupInterval {
		bad("repeat_interval", "must not be below group_interval")
	}
	for i, name := range c.GroupBy {
		if name == "" || name == allLabels && len(c.GroupBy) > 1 {
			bad(fmt.Sprintf("group_by[%d]", i), "wants label names, or %s alone", allLabels)
		}
	}
	if len(c.Receivers) > maxReceivers {
		bad("receivers", "are more than %d", maxReceivers)
	}
	seen := map[string]bool{}
	for i := range c.Receivers {
		r := &c.Receivers[i]
		fault := func(key, format string, args ...any) {
			bad(fmt.Sprintf("receivers[%d].%s", i, key), format, args...)
		}
		if !receiverName.MatchString(r.Name) {
			fault("name", "wants 1 to 60 letters, digits, _, . or -")
		}
		if seen[r.Name] {
			fault("name", "stands twice")
		}
		seen[r.Name] = true
		r.check(fault)
	}
	return errors.Join(all...)
}

func (r *Receiver) check(fault func(key, format string, args ...any)) {
	if _, at, err := parseMatchers(r.Matchers); err != nil {
		fault(fmt.Sprintf("matchers[%d]", at), "%v", err)
	}
	if r.Timeout < 0 {
		fault("timeout", "must be above 0")
	}
	switch r.Type {
	case Alertmanager, Webhook, Slack:
		if err := checkURL(r.URL); err != nil {
			fault("url", "%v", err)
		}
	case Email:
		r.checkEmail(fault)
	default:
		fault("type", "wants %s, %s, %s or %s", Alertmanager, Webhook, Slack, Email)
		return
	}
	for _, key := range r.foreign() {
		fault(key, "is no setting of type %s", r.Type)
	}
	if _, err := outbound.SigningKey(string(r.Secret)); err != nil {
		fault("secret", "%v", err)
	}
	if strings.ContainsAny(string(r.BearerToken), "\r\n") {
		fault("bearer_token", "must be one line")
	}
}

// foreign are the keys that are set and mean nothing to the receiver's type.
func (r *Receiver) foreign() []string {
	var all []string
	for _, k := range []struct {
		key   string
		set   bool
		types []string
	}{
		{"url", r.URL != "", []string{Alertmanager, Webhook, Slack}},
		{"bearer_token", r.BearerToken != "", []string{Alertmanager, Webhook}},
		{"secret", r.Secret != "", []string{Webhook}},
		{"allow_private_addresses", r.AllowPrivateAddresses, []string{Webhook, Slack}},
		{"channel", r.Channel != "", []string{Slack}}, {"username", r.Username != "", []string{Slack}},
		{"smarthost", r.Smarthost != "", []string{Email}}, {"tls", r.TLS != "", []string{Email}},
		{"from", r.From != "", []string{Email}}, {"to", len(r.To) > 0, []string{Email}},
		{"auth_user", r.AuthUser != "", []string{Email}}, {"password", r.Password != "", []string{Email}},
	} {
		if k.set && !slices.Contains(k.types, r.Type) {
			all = append(all, k.key)
		}
	}
	return all
}

func (r *Receiver) checkEmail(fault func(key, format string, args ...any)) {
	if host, port, err := net.SplitHostPort(r.Smarthost); err != nil || host == "" || port == "" {
		fault("smarthost", "wants host:port, as smtp.example.org:587")
	}
	if _, err := mail.ParseAddress(r.From); err != nil {
		fault("from", "wants a mail address")
	}
	if len(r.To) == 0 || len(r.To) > maxReceivers {
		fault("to", "wants 1 to %d mail addresses", maxReceivers)
	}
	for i, to := range r.To {
		if _, err := mail.ParseAddress(to); err != nil {
			fault(fmt.Sprintf("to[%d]", i), "wants a mail address")
		}
	}
	if r.TLS != "" && r.TLS != tlsStart && r.TLS != tlsImplicit && r.TLS != tlsNone {
		fault("tls", "wants %s, %s or %s", tlsStart, tlsImplicit, tlsNone)
	}
	if (r.AuthUser == "") != (r.Password == "") {
		fault("password", "and auth_user go together")
	}
	if r.AuthUser != "" && r.TLS == tlsNone {
		fault("tls", "must not be none where there is a password")
	}
}

// checkURL never repeats the URL: it may hold a token.
func checkURL(s Secret) error {
	if s == "" {
		return errors.New("is missing")
	}
	u, err := url.Parse(string(s))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errors.New("wants http://host or https://host")
	}
	return nil
}

// parseMatchers reads matchers; on an error it says which.
func parseMatchers(texts []string) (all labels.Matchers, at int, err error) {
	if len(texts) > maxMatchers {
		return nil, maxMatchers, fmt.Errorf("there may be %d matchers at most", maxMatchers)
	}
	for i, text := range texts {
		if len(text) > maxMatcher {
			return nil, i, fmt.Errorf("is longer than %d bytes", maxMatcher)
		}
		m, err := parse.Matcher(text)
		if err != nil {
			return nil, i, errors.New(`wants a matcher as severity="critical" or instance=~"web.*"`)
		}
		all = append(all, m)
	}
	return all, 0, nil
}
