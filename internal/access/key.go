package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// A key is the prefix and 256 random bits as base64url without padding: "tm_" and 43 characters.
const (
	keyPrefix  = "tm_"
	keyBytes   = 32
	keyLength  = len(keyPrefix) + 43
	hintLength = 8
)

// hash is what is kept of a key. No salt or slow hash: nobody guesses 256 random bits.
type hash [sha256.Size]byte

func newKey() string {
	var bits [keyBytes]byte
	rand.Read(bits[:]) // never fails; the program ends where there is no randomness
	return keyPrefix + base64.RawURLEncoding.EncodeToString(bits[:])
}

// hashKey returns false for text that cannot be a key, without the cost of a hash.
func hashKey(key string) (hash, bool) {
	if len(key) != keyLength || key[:len(keyPrefix)] != keyPrefix {
		return hash{}, false
	}
	var text [keyLength]byte // on the stack, where a conversion of this length would not be
	copy(text[:], key)
	return sha256.Sum256(text[:]), true
}
