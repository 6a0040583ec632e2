package notify

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"
)

// smtpServer speaks SMTP with STARTTLS and AUTH, one conversation after the other.
type smtpServer struct {
	t        *testing.T
	listener net.Listener
	cert     *httptest.Server // lends its certificate
	auth     string           // mechanisms it offers
	noTLS    bool
	implicit bool
	refuse   map[string]string // verb → answer
	hang     bool
	done     sync.WaitGroup

	mu    sync.Mutex
	mails []string
	log   []string // verbs, with + where the connection was encrypted
	login string
}

func newSMTPServer(t *testing.T, change func(*smtpServer)) *smtpServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &smtpServer{t: t, listener: l, cert: httptest.NewTLSServer(nil), auth: "PLAIN LOGIN", refuse: map[string]string{}}
	if change != nil {
		change(s)
	}
	s.done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.talk(conn)
		}
	})
	t.Cleanup(func() { _ = l.Close(); s.done.Wait(); s.cert.Close() })
	return s
}

func (s *smtpServer) config() *tls.Config { return &tls.Config{Certificates: s.cert.TLS.Certificates} }

// conversation is one connection's.
type conversation struct {
	*smtpServer
	conn   net.Conn
	in     *bufio.Reader
	secure bool
}

func (s *smtpServer) talk(conn net.Conn) {
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		s.t.Error(err)
	}
	c := &conversation{smtpServer: s, conn: conn, in: bufio.NewReader(conn)}
	defer func() { _ = c.conn.Close() }()
	if s.hang {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	if s.implicit {
		c.encrypt()
	}
	c.say("220 mail.test ESMTP")
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		verb = strings.ToUpper(verb)
		s.note(verb, c.secure)
		if answer := s.refuse[verb]; answer != "" {
			c.say(answer)
			continue
		}
		if c.answer(verb, rest); verb == "QUIT" {
			return
		}
	}
}

func (c *conversation) encrypt() {
	c.conn, c.secure = tls.Server(c.conn, c.config()), true
	c.in = bufio.NewReader(c.conn)
}

func (c *conversation) say(line string) { fmt.Fprintf(c.conn, "%s\r\n", line) }

func (c *conversation) ask(line string) string {
	c.say(line)
	coded, _ := c.in.ReadString('\n')
	text, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(coded))
	return string(text)
}

func (c *conversation) answer(verb, rest string) {
	switch verb {
	case "EHLO":
		c.say("250-mail.test")
		if c.secure || c.noTLS {
			c.say("250-AUTH " + c.auth)
		} else {
			c.say("250-STARTTLS")
		}
		c.say("250 8BITMIME")
	case "STARTTLS":
		c.say("220 go on")
		c.encrypt()
	case "AUTH":
		c.logIn(rest)
	case "DATA":
		c.say("354 go on")
		var b strings.Builder
		for {
			text, err := c.in.ReadString('\n')
			if err != nil || text == ".\r\n" {
				break
			}
			b.WriteString(strings.TrimPrefix(text, "."))
		}
		c.mu.Lock()
		c.mails = append(c.mails, b.String())
		c.mu.Unlock()
		c.say("250 taken")
	default:
		c.say("250 fine")
	}
}

func (c *conversation) logIn(rest string) {
	mechanism, given, _ := strings.Cut(rest, " ")
	text, _ := base64.StdEncoding.DecodeString(given)
	login := strings.ReplaceAll(string(text), "\x00", "/")
	if mechanism == "LOGIN" {
		login = "/" + c.ask("334 VXNlcm5hbWU6") + "/" + c.ask("334 UGFzc3dvcmQ6")
	}
	c.mu.Lock()
	c.login = login
	c.mu.Unlock()
	if login == "/tidemark/hunter2" {
		c.say("235 welcome")
	} else {
		c.say("535 the password " + strings.TrimPrefix(login, "/tidemark/") + " is wrong")
	}
}

func (s *smtpServer) note(verb string, secure bool) {
	if secure {
		verb += "+"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, verb)
}

// sender trusts the server's certificate, which is for example.com.
func (s *smtpServer) sender(change func(*Receiver)) *email {
	_, port, _ := net.SplitHostPort(s.listener.Addr().String())
	c := Receiver{Type: Email, Smarthost: "example.com:" + port, From: "Tidemark <tidemark@example.org>", To: []string{"Ops <ops@example.org>", "b@example.org"},
		AuthUser: "tidemark", Password: "hunter2"}
	if change != nil {
		change(&c)
	}
	e := newEmail(&c)
	e.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.listener.Addr().String())
	}
	e.roots = func(c *tls.Config) { c.RootCAs = s.cert.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs }
	return e
}

func TestEmail(t *testing.T) {
	for name, change := range map[string]func(*smtpServer, *Receiver){
		"STARTTLS and PLAIN": func(*smtpServer, *Receiver) {},
		"LOGIN":              func(s *smtpServer, _ *Receiver) { s.auth = "LOGIN" },
		"implicit TLS":       func(s *smtpServer, c *Receiver) { s.implicit, c.TLS = true, tlsImplicit },
		"nothing secret":     func(s *smtpServer, c *Receiver) { s.noTLS, c.TLS, c.AuthUser, c.Password = true, tlsNone, "", "" },
	} {
		t.Run(name, func(t *testing.T) {
			var c Receiver
			s := newSMTPServer(t, func(s *smtpServer) { change(s, &c) })
			m := testMessage()
			m.alerts[0].Labels["severity"], m.alerts[1].Labels["severity"] = "critical\r\nBcc: evil@example.org", "critical\r\nBcc: evil@example.org"
			m.alerts[0].Annotations["summary"] = "Füllstand\r\n.\r\nQUIT"
			answer, err := s.sender(func(r *Receiver) { change(&smtpServer{}, r) }).send(t.Context(), m)
			if err != nil || answer != "taken for 2 recipients" {
				t.Fatalf("%q, %v", answer, err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if c.AuthUser == "" && name != "nothing secret" && s.login != "/tidemark/hunter2" {
				t.Errorf("logged in as %q", s.login)
			}
			for _, verb := range s.log {
				if name != "nothing secret" && (verb == "AUTH" || verb == "MAIL" || verb == "DATA") {
					t.Errorf("%s in the clear", verb)
				}
			}
			wantMail(t, s.mails)
		})
	}
}

func wantMail(t *testing.T, mails []string) {
	t.Helper()
	if len(mails) != 1 {
		t.Fatalf("%d mails", len(mails))
	}
	got, err := mail.ReadMessage(strings.NewReader(mails[0]))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	if err != nil || subject != "[FIRING:1] Up (critical Bcc: evil@example.org)" {
		t.Errorf("subject %q, %v", subject, err)
	}
	if got.Header.Get("Bcc") != "" || got.Header.Get("Message-Id") != "<id-1@example.org>" || !strings.Contains(got.Header.Get("To"), "ops@example.org") {
		t.Errorf("header %v", got.Header)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(got.Body))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Firing: Up since 2026-01-02T02:04:05Z", "Resolved: Up", "Füllstand", "runbook_url: https://x/y", "http://tidemark.example"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%q is missing in %s", want, body)
		}
	}
}

func TestMailThatIsNotTaken(t *testing.T) {
	for name, tt := range map[string]struct {
		server    func(*smtpServer)
		receiver  func(*Receiver)
		permanent bool
		cause     string
	}{
		"greylisted":         {server: func(s *smtpServer) { s.refuse["RCPT"] = "450 come again" }, cause: "answered 450: come again"},
		"no such recipient":  {server: func(s *smtpServer) { s.refuse["RCPT"] = "550 no such user" }, permanent: true, cause: "answered 550: no such user"},
		"wrong password":     {receiver: func(r *Receiver) { r.Password = "hunter3" }, permanent: true, cause: "answered 535: the password <secret> is wrong"},
		"no TLS":             {server: func(s *smtpServer) { s.noTLS = true }, cause: "the server offers no STARTTLS"},
		"unknown mechanisms": {server: func(s *smtpServer) { s.auth = "GSSAPI" }, cause: "the server offers none of PLAIN, LOGIN, CRAM-MD5"},
		"hangs":              {server: func(s *smtpServer) { s.hang = true }, cause: "no answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSMTPServer(t, tt.server)
			limit := 20 * time.Second
			if name == "hangs" {
				limit = 50 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			_, err := s.sender(tt.receiver).send(ctx, testMessage())
			var f *failure
			if !errors.As(err, &f) || f.permanent != tt.permanent || f.cause != tt.cause {
				t.Errorf("%+v, want %q", err, tt.cause)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.mails) != 0 {
				t.Errorf("mails %q", s.mails)
			}
		})
	}
}

// A server that cannot prove who it is learns nothing.
func TestAMailServerWithTheWrongCertificate(t *testing.T) {
	s := newSMTPServer(t, nil)
	e := s.sender(nil)
	e.roots = func(*tls.Config) {}
	if _, err := e.send(t.Context(), testMessage()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.login != "" {
		t.Error("it learned the password")
	}
}
