package access_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/errs"
)

// hand is a clock moved by hand.
type hand struct{ at time.Time }

func (h *hand) now() time.Time { return h.at }

func TestFailedAuthenticationsAreLimitedByAddress(t *testing.T) {
	clock := &hand{time.Unix(1e9, 0)}
	a := loaded(t, &database{}, func(c *access.Config) { c.Now, c.FailedAuth = clock.now, access.DefaultFailedAuth() })
	key, _ := create(t, a, "one", "read")
	from := func(addr, key string) error {
		r := bearer(key)
		r.RemoteAddr = addr
		_, err := a.Authorize(r, access.Read)
		return err
	}
	for range 50 {
		wantKind(t, "within the burst", from("192.0.2.1:1000", "wrong"), errs.Unauthorized)
	}
	e := wantKind(t, "over the burst", from("192.0.2.1:1001", "wrong"), errs.RateLimited)
	if e.RetryAfter != time.Second {
		t.Errorf("retry after %v", e.RetryAfter)
	}
	wantKind(t, "another address", from("192.0.2.2:1000", "wrong"), errs.Unauthorized)
	if err := from("192.0.2.1:1000", key); err != nil {
		t.Errorf("a good key from the same address: %v", err)
	}
	clock.at = clock.at.Add(time.Second)
	for range 10 {
		wantKind(t, "a second later", from("192.0.2.1:1000", "wrong"), errs.Unauthorized)
	}
	wantKind(t, "ten more", from("192.0.2.1:1000", "wrong"), errs.RateLimited)

	for range 50 {
		wantKind(t, "IPv6", from("[2001:db8::1]:1", "wrong"), errs.Unauthorized)
	}
	wantKind(t, "the same /64", from("[2001:db8::ffff:1]:1", "wrong"), errs.RateLimited)
	wantKind(t, "another /64", from("[2001:db8:0:1::1]:1", "wrong"), errs.Unauthorized)
}

func TestKeysAreLimited(t *testing.T) {
	clock := &hand{time.Unix(1e9, 0)}
	a := loaded(t, &database{}, func(c *access.Config) {
		c.Now, c.PerKey = clock.now, access.Rate{PerSecond: 100, Burst: 200}
	})
	texts := map[string]string{}
	for _, name := range []string{"one", "two"} {
		texts[name], _ = create(t, a, name, "ingest")
	}
	admit := func(name string, n int) error {
		r := bearer(texts[name])
		p, err := a.Authorize(r, access.Ingest)
		if err != nil {
			t.Fatal(err)
		}
		return a.Admit(r, p, n)
	}
	if err := admit("one", 150); err != nil {
		t.Fatal(err)
	}
	e := wantKind(t, "over the burst", admit("one", 100), errs.RateLimited)
	if e.RetryAfter != time.Second {
		t.Errorf("retry after %v", e.RetryAfter)
	}
	if err := admit("one", 50); err != nil {
		t.Errorf("what was refused has been charged: %v", err)
	}
	if err := admit("two", 200); err != nil {
		t.Errorf("another key: %v", err)
	}
	if err := a.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "after the keys were read again", admit("one", 1), errs.RateLimited)

	clock.at = clock.at.Add(2 * time.Second)
	if err := admit("one", 1200); err != nil {
		t.Errorf("more than a burst from a full bucket: %v", err)
	}
	clock.at = clock.at.Add(5 * time.Second)
	e = wantKind(t, "while in debt", admit("one", 1), errs.RateLimited)
	if e.RetryAfter != 6*time.Second {
		t.Errorf("retry after %v", e.RetryAfter)
	}
	clock.at = clock.at.Add(e.RetryAfter)
	if err := admit("one", 1); err != nil {
		t.Errorf("after the debt is paid: %v", err)
	}
}

func TestAddressesAreLimitedAndNothingIsChargedTwice(t *testing.T) {
	clock := &hand{time.Unix(1e9, 0)}
	a := loaded(t, &database{}, func(c *access.Config) {
		c.Now, c.PerAddress, c.PerKey = clock.now, access.Rate{PerSecond: 1, Burst: 2}, access.Rate{PerSecond: 1, Burst: 4}
	})
	r := request()
	p, err := a.Authorize(r, access.Ingest) // no keys: anonymous
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, true, false} {
		if err := a.Admit(r, p, 1); (err == nil) != want {
			t.Errorf("anonymous request %d: %v", i, err)
		}
	}
	local := r.WithContext(access.WithLocalAdmin(t.Context()))
	if p, err = a.Authorize(local, access.Admin); err != nil || a.Admit(local, p, 1e6) != nil {
		t.Errorf("the owner of the service is limited: %v", err)
	}

	text, _ := create(t, a, "one", "ingest")
	keyed := bearer(text)
	if p, err = a.Authorize(keyed, access.Ingest); err != nil {
		t.Fatal(err)
	}
	for range 10 { // the address is spent: the key must not pay for these
		wantKind(t, "a spent address", a.Admit(keyed, p, 1), errs.RateLimited)
	}
	keyed.RemoteAddr = "198.51.100.1:1"
	if err := a.Admit(keyed, p, 2); err != nil {
		t.Error(err)
	}
	keyed.RemoteAddr = "198.51.100.2:1"
	if err := a.Admit(keyed, p, 2); err != nil {
		t.Errorf("the key was charged for refused requests: %v", err)
	}
	wantKind(t, "a spent key", a.Admit(keyed, p, 1), errs.RateLimited)
}

func TestTheNumberOfAddressesIsBounded(t *testing.T) {
	clock := &hand{time.Unix(1e9, 0)}
	a := loaded(t, &database{}, func(c *access.Config) {
		c.Now, c.PerAddress, c.MaxAddresses = clock.now, access.Rate{PerSecond: 1, Burst: 1}, 3
	})
	admit := func(i int) error {
		r := request()
		r.RemoteAddr = fmt.Sprintf("10.0.0.%d:1", i)
		return a.Admit(r, access.Principal{}, 1)
	}
	for i := range 3 {
		if err := admit(i); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, "one of the latest", admit(0), errs.RateLimited)
	if err := admit(3); err != nil {
		t.Fatal(err)
	}
	if err := admit(1); err != nil { // forgotten for 3, since 0 was seen later
		t.Errorf("the one not seen for longest is still known: %v", err)
	}
	wantKind(t, "one seen later", admit(0), errs.RateLimited)
}

func TestClientAddr(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		remote    string
		forwarded []string
		trusting  string
		plain     string // with no trusted proxies
	}{
		{"192.0.2.1:5", nil, "192.0.2.1", "192.0.2.1"},
		{"192.0.2.1:5", []string{"198.51.100.1"}, "192.0.2.1", "192.0.2.1"},
		{"10.0.0.1:5", []string{"198.51.100.1"}, "198.51.100.1", "10.0.0.1"},
		{"10.0.0.1:5", []string{"203.0.113.9, 198.51.100.1"}, "198.51.100.1", "10.0.0.1"},
		{"10.0.0.1:5", []string{"203.0.113.9", "198.51.100.1, 10.1.1.1"}, "198.51.100.1", "10.0.0.1"},
		{"10.0.0.1:5", []string{"198.51.100.1:8080"}, "198.51.100.1", "10.0.0.1"},
		{"10.0.0.1:5", []string{"[2001:db8::1]:8080"}, "2001:db8::", "10.0.0.1"},
		{"10.0.0.1:5", []string{"2001:db8::1%eth0"}, "2001:db8::", "10.0.0.1"},
		{"10.0.0.1:5", []string{"10.0.0.2, 10.0.0.3"}, "10.0.0.2", "10.0.0.1"},
		{"10.0.0.1:5", []string{"198.51.100.1, unknown, 10.0.0.3"}, "10.0.0.3", "10.0.0.1"},
		{"10.0.0.1:5", []string{""}, "10.0.0.1", "10.0.0.1"},
		{"[::ffff:10.0.0.1]:5", []string{"::ffff:198.51.100.1"}, "198.51.100.1", "10.0.0.1"},
		{"[fd00::1]:5", []string{"198.51.100.1"}, "198.51.100.1", "fd00::"},
		{"@", []string{"198.51.100.1"}, "invalid IP", "invalid IP"},
		{"", nil, "invalid IP", "invalid IP"},
	} {
		r := request()
		r.RemoteAddr = c.remote
		for _, f := range c.forwarded {
			r.Header.Add("X-Forwarded-For", f)
		}
		trusting := loaded(t, &database{}, func(cfg *access.Config) { cfg.TrustedProxies = proxies })
		if got := trusting.ClientAddr(r).String(); got != c.trusting {
			t.Errorf("%s %q: %s, want %s", c.remote, c.forwarded, got, c.trusting)
		}
		if got := loaded(t, &database{}, nil).ClientAddr(r).String(); got != c.plain {
			t.Errorf("%s %q trusting nobody: %s, want %s", c.remote, c.forwarded, got, c.plain)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for i, c := range []access.Config{
		{},
		{Store: &database{}, Logger: log},
		{Store: &database{}, Logger: log, Now: time.Now, MaxAddresses: -1},
		{Store: &database{}, Logger: log, Now: time.Now, PerKey: access.Rate{PerSecond: 1}},
		{Store: &database{}, Logger: log, Now: time.Now, FailedAuth: access.Rate{PerSecond: -1, Burst: 1}},
	} {
		if _, err := access.New(c); err == nil {
			t.Errorf("config %d is accepted", i)
		}
	}
}
