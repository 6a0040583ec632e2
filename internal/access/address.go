package access

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ClientAddr is the address a request came from: that of the connection, or, when that is a
// trusted proxy's, the nearest in X-Forwarded-For that is not. An IPv6 client is its /64,
// since it can choose the rest. The zero Addr stands for a connection without one.
func (a *Access) ClientAddr(r *http.Request) netip.Addr {
	return group(a.client(r))
}

func (a *Access) client(r *http.Request) netip.Addr {
	addr, ok := parseAddr(r.RemoteAddr)
	if !ok || !a.trusted(addr) {
		return addr
	}
	// Each proxy appends whom it got the request from: only what trusted ones wrote counts.
	for _, value := range slices.Backward(r.Header["X-Forwarded-For"]) {
		hops := strings.Split(value, ",")
		for _, hop := range slices.Backward(hops) {
			before, ok := parseAddr(strings.TrimSpace(hop))
			if !ok {
				return addr
			}
			if addr = before; !a.trusted(addr) {
				return addr
			}
		}
	}
	return addr
}

func (a *Access) trusted(addr netip.Addr) bool {
	return slices.ContainsFunc(a.config.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// parseAddr reads an address with or without a port.
func parseAddr(text string) (netip.Addr, bool) {
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both.Addr().Unmap().WithZone(""), true
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.Unmap().WithZone(""), true
}

func group(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	if prefix, err := addr.Prefix(64); err == nil {
		return prefix.Addr()
	}
	return addr
}
