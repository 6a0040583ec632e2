package destination

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// maskable are the columns that can be dropped or hashed.
var maskable = []question.Column{question.UserID, "anonymous_id", question.SessionID, "ip_address", "user_agent", "referrer"}

// transform is a Transform that was checked.
type transform struct {
	drop, hash []question.Field
	rename     []renaming
	key        []byte
	properties bool // something of properties changes
	metadata   bool
}

type renaming struct {
	field question.Field
	to    string
}

func newTransform(t *Transform, key string) *transform {
	out := &transform{key: []byte(key)}
	parse := func(name string) question.Field {
		f, _ := question.ParseField(name) // checked before
		out.properties = out.properties || f.Column == question.Properties
		out.metadata = out.metadata || f.Column == question.Metadata
		return f
	}
	for _, name := range t.Drop {
		out.drop = append(out.drop, parse(name))
	}
	for _, name := range t.Hash {
		out.hash = append(out.hash, parse(name))
	}
	for _, from := range slices.Sorted(maps.Keys(t.Rename)) { // always in the same order, should they meet
		out.rename = append(out.rename, renaming{parse(from), t.Rename[from]})
	}
	return out
}

// apply returns the event as it goes out. The original stays as it is.
func (t *transform) apply(e event.Event) event.Event {
	for _, f := range t.drop {
		if text := textOf(&e, f.Column); text != nil {
			*text = ""
		}
	}
	for _, f := range t.hash {
		if text := textOf(&e, f.Column); text != nil && *text != "" {
			*text = t.mask(*text)
		}
	}
	if t.properties {
		e.Properties = t.object(e.Properties, question.Properties)
	}
	if t.metadata {
		e.Metadata = t.object(e.Metadata, question.Metadata)
	}
	return e
}

// object changes one of the two objects. One that cannot be read is left out rather than let
// through unmasked.
func (t *transform) object(o event.Object, column question.Column) event.Object {
	if len(o) == 0 {
		return o
	}
	d := json.NewDecoder(bytes.NewReader(o))
	d.UseNumber()
	var m map[string]any
	if d.Decode(&m) != nil {
		return nil
	}
	for _, f := range t.drop {
		if f.Column == column {
			if in, key := holder(m, f.Path); in != nil {
				delete(in, key)
			}
		}
	}
	for _, f := range t.hash {
		if f.Column != column {
			continue
		}
		if in, key := holder(m, f.Path); in != nil && in[key] != nil {
			in[key] = t.mask(literal(in[key]))
		}
	}
	t.move(m, column)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(m) != nil {
		return nil
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// move gives values their new names, all at once, so that two can change places.
func (t *transform) move(m map[string]any, column question.Column) {
	var puts []func()
	for _, n := range t.rename {
		if n.field.Column != column {
			continue
		}
		if in, key := holder(m, n.field.Path); in != nil {
			v := in[key]
			delete(in, key)
			puts = append(puts, func() { in[n.to] = v })
		}
	}
	for _, put := range puts {
		put()
	}
}

// holder is the object that has the last key of a path, nil where there is none.
func holder(m map[string]any, path []string) (map[string]any, string) {
	for _, key := range path[:len(path)-1] {
		next, ok := m[key].(map[string]any)
		if !ok {
			return nil, ""
		}
		m = next
	}
	key := path[len(path)-1]
	if _, ok := m[key]; !ok {
		return nil, ""
	}
	return m, key
}

// literal is what of a JSON value is hashed: a text as it is, all else as JSON.
func literal(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}

// mask is a keyed hash: without the key nobody can try names until one fits.
func (t *transform) mask(s string) string {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte(s))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
