package eventjson

import "bytes"

// AppendIdentified appends the JSON of an event, and gives it an id where it names none or null.
// Broken JSON may be appended as it is: decoding it tells what is wrong.
func AppendIdentified(dst, raw []byte, id func() string) []byte {
	if bytes.HasPrefix(raw, []byte(`{"event_id":"`)) { // as everything that Append wrote
		return append(dst, raw...)
	}
	from, to, found := idValue(raw)
	switch {
	case found && string(raw[from:to]) == "null":
		dst = appendString(append(dst, raw[:from]...), id())
		return append(dst, raw[to:]...)
	case found, !bytes.HasPrefix(raw, []byte("{")):
		return append(dst, raw...)
	}
	dst = appendString(append(dst, `{"event_id":`...), id())
	if rest := bytes.TrimLeft(raw[1:], " \t\r\n"); !bytes.HasPrefix(rest, []byte("}")) {
		dst = append(dst, ',')
	}
	return append(dst, raw[1:]...)
}

// idValue finds the value of an event's id.
func idValue(raw []byte) (from, to int, found bool) {
	if !bytes.Contains(raw, []byte(`"event_id"`)) {
		return 0, 0, false
	}
	var t tokens
	t.reset(raw)
	if t.next() != nil || t.kind != '{' {
		return 0, 0, false
	}
	for t.next() == nil && t.kind == '"' {
		named := string(t.text()) == `"event_id"`
		if t.next() != nil {
			break
		}
		if named {
			return t.start, t.end, true
		}
		if t.skip() != nil {
			break
		}
	}
	return 0, 0, false
}
