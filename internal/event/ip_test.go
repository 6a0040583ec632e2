package event

import "testing"

func TestTruncateIP(t *testing.T) {
	for in, want := range map[string]string{
		"203.0.113.77":              "203.0.113.0",
		"255.255.255.255":           "255.255.255.0",
		"2001:db8:1234:5678::1":     "2001:db8:1234::",
		"2001:DB8:1:2:3:4:5:6":      "2001:db8:1::",
		"::1":                       "::",
		"::ffff:203.0.113.77":       "203.0.113.0",
		"fe80::1%eth0":              "fe80::",
		"2001:db8:1:2::%a\"b<c":     "2001:db8:1::",
		"":                          "",
		"localhost":                 "",
		"203.0.113.77:80":           "",
		"[::1]":                     "",
		"203.0.113":                 "",
		"010.1.1.1":                 "",
		"203.0.113.77, 203.0.113.1": "",
	} {
		if got := TruncateIP(in); got != want {
			t.Errorf("TruncateIP(%q) = %q, want %q", in, got, want)
		}
		if got := TruncateIP(want); got != want {
			t.Errorf("truncating %q again gives %q", want, got)
		}
	}
}
