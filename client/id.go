package client

import (
	"encoding/hex"
	"math/rand/v2"
	"time"
)

// appendID appends a new UUIDv7. Its random bits come from the runtime's ChaCha8, which the system
// seeds and which takes no lock; 74 of them keep ids of one millisecond apart.
func appendID(dst []byte, now time.Time) []byte {
	ms := uint64(now.UnixMilli())
	a, b := rand.Uint64(), rand.Uint64()
	var id [16]byte
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6], id[7] = 0x70|byte(a>>8)&0x0f, byte(a)
	for i := range 8 {
		id[8+i] = byte(b >> (56 - 8*i))
	}
	id[8] = 0x80 | id[8]&0x3f
	var text [36]byte
	hex.Encode(text[0:8], id[0:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:36], id[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return append(dst, text[:]...)
}
