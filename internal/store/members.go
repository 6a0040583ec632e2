package store

// Members of a JSON object, read without decoding what is in them.

// eachMember hands over the members of a JSON object in their order: the name without its quotes, the
// value as it stands there, and whether that is plain, which means that databases write the same
// value in the same words, or as a number that is equal. It is false where each is, for what is no
// object, and where a name has an escape.
func eachMember(o []byte, each func(name, value []byte, plain bool) bool) bool {
	i := skipSpace(o, 0)
	if i == len(o) || o[i] != '{' {
		return false
	}
	if i = skipSpace(o, i+1); i < len(o) && o[i] == '}' {
		return true
	}
	for {
		begin := i
		end, plain := textEnd(o, begin)
		if end < 0 || !plain {
			return false
		}
		if i = skipSpace(o, end); i == len(o) || o[i] != ':' {
			return false
		}
		i = skipSpace(o, i+1)
		after, plain := valueEnd(o, i)
		if after < 0 || !each(o[begin+1:end-1], o[i:after], plain) {
			return false
		}
		if i = skipSpace(o, after); i == len(o) || o[i] != ',' {
			return i < len(o) && o[i] == '}'
		}
		i = skipSpace(o, i+1)
	}
}

func skipSpace(o []byte, i int) int {
	for i < len(o) && (o[i] == ' ' || o[i] == '\n' || o[i] == '\t' || o[i] == '\r') {
		i++
	}
	return i
}

// textEnd is where the text ends that begins at i, below 0 where there is none. It is plain where
// nothing in it needs an escape.
func textEnd(o []byte, i int) (end int, plain bool) {
	if i == len(o) || o[i] != '"' {
		return -1, false
	}
	plain = true
	for i++; i < len(o); i++ {
		switch c := o[i]; {
		case c == '"':
			return i + 1, plain
		case c == '\\':
			i++
			plain = false
		case c < ' ' || c == 0x7f:
			plain = false
		}
	}
	return -1, false
}

// valueEnd is where the value ends that begins at i, below 0 where there is none.
func valueEnd(o []byte, i int) (end int, plain bool) {
	if i == len(o) {
		return -1, false
	}
	switch o[i] {
	case '"':
		return textEnd(o, i)
	case '{', '[':
		return nestedEnd(o, i), false
	}
	end = i
	for end < len(o) && o[end] != ',' && o[end] != '}' && o[end] > ' ' {
		end++
	}
	return end, plainWord(o[i:end])
}

// nestedEnd is where the object or list ends that begins at i, below 0 where it does not.
func nestedEnd(o []byte, i int) int {
	depth := 0
	for i < len(o) {
		switch o[i] {
		case '"':
			if i, _ = textEnd(o, i); i < 0 {
				return -1
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return -1
}

// plainWord reports whether a value is true, false, null or a number without an exponent that a
// floating-point number holds about as well as anything does.
func plainWord(word []byte) bool {
	const digits = 20
	switch string(word) {
	case "true", "false", "null":
		return true
	}
	if len(word) > 0 && word[0] == '-' {
		word = word[1:]
	}
	if len(word) == 0 || len(word) > digits || word[0] == '.' || word[len(word)-1] == '.' {
		return false
	}
	points := 0
	for _, c := range word {
		if c == '.' {
			points++
		} else if c < '0' || c > '9' {
			return false
		}
	}
	return points < 2
}
