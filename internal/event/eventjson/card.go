package eventjson

// Lengths of card numbers, in digits.
const (
	minCard = 13
	maxCard = 19
)

// hasCard reports whether a text holds what looks like a payment card number: 13 to 19
// digits, alone or in groups set apart by single blanks or hyphens, that begin as a card of
// that length does and pass the Luhn check. Digits that are part of a longer word, of a
// decimal or of a phone number (+) do not count.
func hasCard(text []byte) bool {
	if len(text) < minCard {
		return false
	}
	for i := 0; i < len(text); i++ {
		if !digit(text[i]) {
			continue
		}
		end, digits := run(text, i)
		if digits >= minCard && !partOfWord(text, i, end) && cardInRun(text[i:end]) {
			return true
		}
		i = end
	}
	return false
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// run returns the end of the digits that begin at i, single separators included.
func run(text []byte, i int) (end, digits int) {
	for ; i < len(text); i++ {
		switch {
		case digit(text[i]):
			digits++
			end = i + 1
		case (text[i] != ' ' && text[i] != '-') || end < i:
			return end, digits
		}
	}
	return end, digits
}

func partOfWord(text []byte, from, end int) bool {
	if end < len(text) && (letter(text[end]) || text[end] == '_') {
		return true
	}
	if from == 0 {
		return false
	}
	switch before := text[from-1]; before {
	case '+', '_':
		return true
	case '.', ',':
		return from > 1 && digit(text[from-2])
	default:
		return letter(before)
	}
}

// cardInRun tries every stretch of whole groups, so that a card is found beside its expiry
// date or check number.
func cardInRun(run []byte) bool {
	for i := range run {
		if !digit(run[i]) || i > 0 && digit(run[i-1]) {
			continue // not the beginning of a group
		}
		var digits [maxCard]byte
		n := 0
		for j := i; j < len(run); j++ {
			if !digit(run[j]) {
				continue
			}
			if n == maxCard {
				break
			}
			digits[n] = run[j] - '0'
			n++
			if j+1 < len(run) && digit(run[j+1]) {
				continue // not the end of a group
			}
			if n >= minCard && cardPrefix(digits[:n]) && luhn(digits[:n]) {
				return true
			}
		}
	}
	return false
}

// cardPrefix reports whether digits begin as the cards of their length do.
func cardPrefix(digits []byte) bool {
	n := len(digits)
	four := int(digits[0])*1000 + int(digits[1])*100 + int(digits[2])*10 + int(digits[3])
	two := four / 100
	switch {
	case four/1000 == 4: // Visa
		return n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720: // Mastercard
		return n == 16
	case two == 34, two == 37: // American Express
		return n == 15
	case four >= 3000 && four <= 3059, two == 36, two == 38, two == 39: // Diners Club
		return n >= 14
	case four >= 3528 && four <= 3589: // JCB
		return n >= 16
	case four == 6011, four >= 6440 && four <= 6599, two == 62, two == 81: // Discover, UnionPay
		return n >= 16
	case two == 50, two >= 56 && two <= 58, two == 63, two == 67: // Maestro
		return true
	default:
		return false
	}
}

func luhn(digits []byte) bool {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i])
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}
