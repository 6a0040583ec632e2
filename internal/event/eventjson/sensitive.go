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
		"secret", "secrets", "secret_key", "private_key", "signing_key", "encryption_key",
		"token", "jwt", "otp", "api_key", "api_keys", "access_key",
		"authorization", "credential", "credentials", "cookie", "cookies",
		"credit_card", "card_number", "card_no", "cvv", "cvc", "iban",
		"ssn", "social_security_number",
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
	endings    [1 << 10]uint32 // by the last two letters: which stand before them in any entry above
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
	if n := len(entry); n >= 3 && letters(entry[n-3], entry[n-2], entry[n-1]) {
		place, bit := ending(entry[n-3], entry[n-2], entry[n-1])
		s.endings[place] |= bit
		return
	}
	for i := range s.endings { // an odd entry: no name is done with at a glance
		s.endings[i] = 1<<32 - 1
	}
}

func letters(a, b, c byte) bool { return letter(a) && letter(b) && letter(c) }

// ending is where the last three letters of a name, whatever their case, are noted.
func ending(a, b, c byte) (place int, bit uint32) {
	return int(c&31)<<5 | int(b&31), 1 << (a & 31)
}

// match reports whether the value under this name is to be masked.
func (s *sensitive) match(name []byte) bool {
	if n := len(name); n >= 3 && letters(name[n-3], name[n-2], name[n-1]) {
		if place, bit := ending(name[n-3], name[n-2], name[n-1]); s.endings[place]&bit == 0 {
			return false // nearly all names
		}
	}
	w := normalise(name)
	for w.n > 0 {
		for _, name := range s.names[w.last()] {
			if w.endIn(name) && (len(name) >= wholeWord || w.begins(w.n-len(name))) {
				return true
			}
		}
		if !w.cutQualifier(s.qualifiers[w.last()]) {
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

func (w *words) endIn(entry string) bool {
	return w.n >= len(entry) && string(w.letters[w.n-len(entry):w.n]) == entry
}

// cutQualifier takes a digit or one of the qualifiers off the end.
func (w *words) cutQualifier(qualifiers []string) bool {
	if digit(w.last()) {
		w.n--
		return true
	}
	for _, q := range qualifiers {
		if w.endIn(q) {
			w.n -= len(q)
			return true
		}
	}
	return false
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
