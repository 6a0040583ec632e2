package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-obs/tidemark/internal/outbound"
)

// How a connection to a mail server is made safe.
const (
	tlsStart    = "starttls"
	tlsImplicit = "implicit"
	tlsNone     = "none"
)

const maxMailAlerts = 100

// email sends mail by SMTP.
type email struct {
	c     Receiver
	host  string
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	roots func(*tls.Config) // what tests trust beside the system's
}

func newEmail(c *Receiver) *email {
	host, port, _ := net.SplitHostPort(c.Smarthost) // checked before
	e := &email{c: *c, host: host, dial: outbound.Dialer(true), roots: func(*tls.Config) {}}
	if e.c.TLS == "" {
		e.c.TLS = tlsStart
		if port == "465" {
			e.c.TLS = tlsImplicit
		}
	}
	return e
}

func (e *email) send(ctx context.Context, m *message) (string, error) {
	conn, err := e.dial(ctx, "tcp", e.c.Smarthost)
	if err != nil {
		return "", unreachable(err)
	}
	// net/smtp knows no contexts: the connection ends with this one.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	answer, err := e.talk(conn, m)
	if err != nil {
		_ = conn.Close() // the connection is of no use any more
		if ctx.Err() != nil {
			return "", &failure{cause: "no answer in time"}
		}
		return "", e.failure(err)
	}
	return answer, nil
}

// talk goes through one conversation. The server has the mail once it says yes to its end.
func (e *email) talk(conn net.Conn, m *message) (string, error) {
	config := &tls.Config{ServerName: e.host, MinVersion: tls.VersionTLS12}
	e.roots(config)
	if e.c.TLS == tlsImplicit {
		conn = tls.Client(conn, config)
	}
	c, err := smtp.NewClient(conn, e.host)
	if err != nil {
		return "", err
	}
	if e.c.TLS == tlsStart {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return "", errors.New("the server offers no STARTTLS")
		}
		if err := c.StartTLS(config); err != nil {
			return "", err
		}
	}
	if e.c.AuthUser != "" {
		if err := e.authenticate(c); err != nil {
			return "", err
		}
	}
	from, to, err := e.addresses()
	if err != nil {
		return "", err
	}
	if err := c.Mail(from.Address); err != nil {
		return "", err
	}
	for _, a := range to {
		if err := c.Rcpt(a.Address); err != nil {
			return "", err
		}
	}
	w, err := c.Data()
	if err != nil {
		return "", err
	}
	if _, err := w.Write(e.mail(m, from, to)); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	_ = c.Quit() // the mail is taken, whatever comes after
	return fmt.Sprintf("taken for %d recipients", len(to)), nil
}

func (e *email) addresses() (from *mail.Address, to []*mail.Address, err error) {
	if from, err = mail.ParseAddress(e.c.From); err != nil {
		return nil, nil, err
	}
	for _, text := range e.c.To {
		a, err := mail.ParseAddress(text)
		if err != nil {
			return nil, nil, err
		}
		to = append(to, a)
	}
	return from, to, nil
}

func (e *email) authenticate(c *smtp.Client) error {
	ok, offered := c.Extension("AUTH")
	if !ok {
		return errors.New("the server offers no AUTH")
	}
	user, password := e.c.AuthUser, string(e.c.Password)
	mechanisms := strings.Fields(offered)
	switch {
	case slices.Contains(mechanisms, "PLAIN"):
		return c.Auth(smtp.PlainAuth("", user, password, e.host))
	case slices.Contains(mechanisms, "LOGIN"):
		return c.Auth(&loginAuth{user, password})
	case slices.Contains(mechanisms, "CRAM-MD5"):
		return c.Auth(smtp.CRAMMD5Auth(user, password))
	}
	return errors.New("the server offers none of PLAIN, LOGIN, CRAM-MD5")
}

// loginAuth is what some servers offer instead of PLAIN.
type loginAuth struct{ user, password string }

func (a *loginAuth) Start(s *smtp.ServerInfo) (string, []byte, error) {
	if !s.TLS {
		return "", nil, errors.New("the connection is not encrypted")
	}
	return "LOGIN", nil, nil
}

func (a *loginAuth) Next(asked []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	switch strings.ToLower(strings.TrimSpace(string(asked))) {
	case "username:":
		return []byte(a.user), nil
	case "password:":
		return []byte(a.password), nil
	}
	return nil, errors.New("the server asks for something unknown")
}

// mail writes the message. Every value in its head is one line.
func (e *email) mail(m *message, from *mail.Address, to []*mail.Address) []byte {
	var b bytes.Buffer
	names := make([]string, len(to))
	for i, a := range to {
		names[i] = a.String()
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	for _, h := range [][2]string{
		{"From", from.String()}, {"To", strings.Join(names, ", ")},
		{"Subject", mime.QEncoding.Encode("utf-8", outbound.Cut(m.title(), 200))},
		{"Date", m.at.Format(time.RFC1123Z)}, {"Message-Id", "<" + m.id + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"}, {"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		b.WriteString(h[0] + ": " + oneLine(h[1]) + "\r\n")
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(mailText(m))) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

func mailText(m *message) string {
	var b strings.Builder
	firing, ended := m.split()
	for _, part := range []struct {
		head   string
		alerts []Alert
	}{{"Firing", firing}, {"Resolved", ended}} {
		for i, a := range part.alerts {
			if i == maxMailAlerts {
				fmt.Fprintf(&b, "… and %d more\n\n", len(part.alerts)-i)
				break
			}
			fmt.Fprintf(&b, "%s: %s since %s\n", part.head, a.Name(), a.StartsAt.Format(time.RFC3339))
			if !a.Firing {
				fmt.Fprintf(&b, "  ended %s\n", a.EndsAt.Format(time.RFC3339))
			}
			for _, pairs := range []map[string]string{a.Annotations, a.Labels} {
				for _, k := range slices.Sorted(maps.Keys(pairs)) {
					fmt.Fprintf(&b, "  %s: %s\n", k, pairs[k])
				}
			}
			b.WriteString("\n")
		}
	}
	if m.externalURL != "" {
		b.WriteString(m.externalURL + "\n")
	}
	return b.String()
}

// failure tells refusals for good (5xx) from those that pass.
func (e *email) failure(err error) error {
	f := &failure{cause: err.Error()}
	var p *textproto.Error
	if errors.As(err, &p) {
		f.cause, f.permanent = fmt.Sprintf("answered %d: %s", p.Code, p.Msg), p.Code/100 == 5
	}
	if e.c.Password != "" {
		f.cause = strings.ReplaceAll(f.cause, string(e.c.Password), hidden)
	}
	f.cause = outbound.Printable(f.cause, shownBody)
	return f
}
