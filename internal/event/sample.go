package event

// FNV-1a, 64 bits. Written out because hash/fnv wants a hasher per event, and because the
// constants are part of the promise: they may never change.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// Sample decides whether the event is kept when a share of rate of all persons is kept, and
// if so multiplies e.SampleRate by rate, so that statistics can weigh the event.
//
// The decision is a hash of the user id, else the anonymous id, else the session id, else
// the event id, so a person is wholly in or out: in every process, version and machine. It
// is monotone: whoever is kept at one rate is kept at every higher one.
func Sample(e *Event, rate float64) bool {
	if rate >= 1 {
		return true
	}
	if !(place(sampleKey(e)) < rate) { // written so that NaN keeps nothing
		return false
	}
	e.SampleRate = max(e.SampleRate*rate, leastRate)
	return true
}

func sampleKey(e *Event) string {
	for _, id := range [...]string{e.UserID, e.AnonymousID, e.SessionID} {
		if id != "" {
			return id
		}
	}
	return e.ID
}

// place puts a key somewhere in [0, 1). FNV alone spreads short similar ids badly over the
// high bits; the finaliser of MurmurHash3 repairs that.
func place(key string) float64 {
	h := uint64(fnvOffset)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * fnvPrime
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return float64(h>>11) / (1 << 53)
}
