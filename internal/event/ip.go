package event

import "net/netip"

// How many bits of an address are kept: enough for a region, too few for a person.
const (
	keepIPv4 = 24
	keepIPv6 = 48
)

// TruncateIP zeroes the part of an address that tells persons apart: what follows /24 of an
// IPv4 address (also one mapped into IPv6) and /48 of an IPv6 address. A zone is dropped.
// It returns "" for what is not an address, so that nothing unknown passes through it.
func TruncateIP(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	addr = addr.Unmap().WithZone("")
	bits := keepIPv6
	if addr.Is4() {
		bits = keepIPv4
	}
	return netip.PrefixFrom(addr, bits).Masked().Addr().String()
}
