package outbound

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// ErrPrivate is the refusal to dial an address that is not of the open Internet.
var ErrPrivate = errors.New("the address is private; set allow_private_addresses to reach it")

// reserved are networks that no public receiver is in, beside those that netip knows by name.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),  // carriers' private networks
	netip.MustParsePrefix("192.0.0.0/24"),   // protocol assignments
	netip.MustParsePrefix("198.18.0.0/15"),  // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),    // reserved, broadcast
	netip.MustParsePrefix("64:ff9b::/96"),   // IPv4 behind a translator
	netip.MustParsePrefix("64:ff9b:1::/48"), // the same, local
	netip.MustParsePrefix("2001::/32"),      // IPv4 inside Teredo
	netip.MustParsePrefix("2002::/16"),      // IPv4 inside 6to4
	netip.MustParsePrefix("fec0::/10"),      // old site-local
}

// Public reports whether an address is one of the open Internet.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Zone() != "" {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// Dialer connects; unless private addresses are allowed it looks at the address that is really
// dialled, after names were resolved.
func Dialer(allowPrivate bool) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 10 * time.Second}
	if !allowPrivate {
		d.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			a, err := netip.ParseAddrPort(address)
			if err != nil || !Public(a.Addr()) {
				return ErrPrivate
			}
			return nil
		}
	}
	return d.DialContext
}
