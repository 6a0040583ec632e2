package eventjson

import "bytes"

// DefaultSensitive lists the names whose values are masked unless configured otherwise.
//
// Upper and lower case, "_", "-", "." and blanks make no difference. A name is sensitive when
// it ends in a listed one: user_password, accessToken and X-API-Key are, tokens_used and
// token_count are not. Words that only qualify what stands before them (hash, value, header,
// confirmation, …) and digits at the end do not count: password_hash and password2 are
// sensitive. Entries of less than five letters match whole words only: card_pin is sensitive
// where pin is listed, spin is not.
func DefaultSensitive() []string {
	return []string{
		"password", "passwords", "passwd", "pwd", "passphrase", "passcode",
		"secret", "secrets", "secret_key", "client_secret", "private_key", "signing_key", "encryption_key",
		"token", "access_token", "refresh_token", "id_token", "auth_token", "jwt", "otp",
		"api_key", "api_keys", "access_key", "authorization", "credential", "credentials",
		"cookie", "cookies", "session_cookie", "set_cookie",
		"credit_card", "credit_card_number", "card_number", "card_no", "cvv", "cvc", "iban",
		"account_number", "ssn", "social_security_number",
	}
}

// qualifiers say something about what stands before them and do not change what it is.
var qualifiers = []string{
	"hash", "value", "header", "string", "text", "plain", "raw", "encrypted", "encoded",
	"confirm", "confirmation", "repeat", "again", "old", "new", "current",
}

// wholeWord is the length below which an entry matches whole words only.
const wholeWord = 5

// maxName bounds how much of a name is looked at: its last bytes.
const maxName = 128

// sensitive knows the sensitive names, in lower case without separators, by their last byte.
type sensitive struct {
	names      [256][]string
	qualifiers [256][]string
	pairs      [32]uint32 // by last letter: which letters stand before it in any entry above
}

func newSensitive(names []string) (s sensitive) {
	for _, n := range names {
		w := normalise([]byte(n))
		s.add(&s.names, string(w.letters[:w.n]))
	}
	for _, q := range qualifiers {
		s.add(&s.qualifiers, q)
	}
	return s
}

func (s *sensitive) add(to *[256][]string, entry string) {
	if entry == "" {
		return
	}
	last := entry[len(entry)-1]
	to[last] = append(to[last], entry)
	before := uint32(1<<32 - 1) // an entry of one letter: whatever stands before
	if len(entry) > 1 {
		before = 1 << (entry[len(entry)-2] & 31)
	}
	s.pairs[last&31] |= before
}

// match reports whether the value under this name is to be masked.
func (s *sensitive) match(name []byte) bool {
	// Most names are done with here. Names that do not end in two letters take the long way.
	if n := len(name); n > 1 && letter(name[n-1]) && letter(name[n-2]) &&
		s.pairs[name[n-1]&31]>>(name[n-2]&31)&1 == 0 {
		return false
	}
	w := normalise(name)
	for w.n > 0 {
		if w.endsInOne(s.names[w.last()]) > 0 {
			return true
		}
		switch cut := w.endsInOne(s.qualifiers[w.last()]); {
		case '0' <= w.last() && w.last() <= '9':
			w.n--
		case cut > 0 && w.begins(w.n-cut):
			w.n -= cut
		default:
			return false
		}
	}
	return false
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// words is a name in lower case without separators, and where its words begin.
type words struct {
	letters [maxName]byte
	n       int
	starts  [maxName / 64]uint64
}

func (w *words) last() byte        { return w.letters[w.n-1] }
func (w *words) begins(i int) bool { return w.starts[i/64]>>(i%64)&1 == 1 }

// endsInOne returns the length of the entry that the words end in, 0 if there is none.
func (w *words) endsInOne(entries []string) int {
	for _, e := range entries {
		at := w.n - len(e)
		if at >= 0 && string(w.letters[at:w.n]) == e && (len(e) >= wholeWord || w.begins(at)) {
			return len(e)
		}
	}
	return 0
}

// normalise takes a name apart at separators and at changes from lower to upper case.
func normalise(name []byte) (w words) {
	if len(name) > maxName {
		name = name[len(name)-maxName:]
	}
	if !ascii(name) {
		name = bytes.ToLower(name)
		name = name[:min(len(name), maxName)] // lower case may be longer
	}
	begin := true
	for i, c := range name {
		if c == '_' || c == '-' || c == '.' || c == ' ' {
			begin = true
			continue
		}
		if upper(c) {
			// "accessToken" and, at the K, "APIKey"
			begin = begin || i > 0 && !upper(name[i-1]) || i+1 < len(name) && lower(name[i+1])
			c |= 0x20
		}
		if begin {
			w.starts[w.n/64] |= 1 << (w.n % 64)
			begin = false
		}
		w.letters[w.n] = c
		w.n++
	}
	return w
}

func upper(c byte) bool { return 'A' <= c && c <= 'Z' }
func lower(c byte) bool { return 'a' <= c && c <= 'z' }

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
