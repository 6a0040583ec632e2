package event

import (
	"encoding/json"
	"reflect"
	"testing"
)

// filled has another number in every count.
func filled() Counts {
	var c Counts
	n := uint64(0)
	next := func() uint64 { n++; return n }
	for i := range c.Received {
		c.Received[i] = next()
	}
	for i := range c.Rejected {
		c.Rejected[i] = next()
	}
	for i := range c.DeadLettered {
		c.DeadLettered[i] = next()
	}
	c.SampledOut, c.Accepted, c.Stored, c.Duplicate = next(), next(), next(), next()
	return c
}

func TestCountsAddUp(t *testing.T) {
	a, b := filled(), filled()
	a.Add(&b)
	got, want := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range got.NumField() {
		g, w := got.Field(i), want.Field(i)
		if g.Kind() == reflect.Uint64 {
			if g.Uint() != 2*w.Uint() {
				t.Errorf("%s is %d", got.Type().Field(i).Name, g.Uint())
			}
			continue
		}
		for j := range g.Len() {
			if g.Index(j).Uint() != 2*w.Index(j).Uint() {
				t.Errorf("%s[%d] is %d", got.Type().Field(i).Name, j, g.Index(j).Uint())
			}
		}
	}
	var zero Counts
	if !zero.IsZero() || b.IsZero() {
		t.Error("IsZero is wrong")
	}
	if got, want := b.Settled(), b.Stored+b.Duplicate+b.DeadLetteredTotal(); got != want {
		t.Errorf("settled %d, want %d", got, want)
	}
	p, all := uint64(numProtocols), uint64(numProtocols)+uint64(numReasons)
	if b.ReceivedTotal() != p*(p+1)/2 || b.RejectedTotal() != all*(all+1)/2-p*(p+1)/2 {
		t.Errorf("received %d, rejected %d", b.ReceivedTotal(), b.RejectedTotal())
	}
}

func TestCountsSurviveJSON(t *testing.T) {
	for name, want := range map[string]Counts{"zero": {}, "filled": filled(), "some": {Accepted: 3, Stored: 1}} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got := filled() // leftovers must not show through
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Errorf("%s: %s was read as %+v, %v", name, text, got, err)
		}
	}
	var c Counts
	c.Rejected[ReasonTooLarge], c.Received[Self] = 1, 1
	if text, err := json.Marshal(c); err != nil || string(text) != `{"received":{"self":1},"rejected":{"too_large":1}}` {
		t.Errorf("%s %v", text, err)
	}
}

func TestCountsRefuseUnknownNames(t *testing.T) {
	for _, text := range []string{
		`{"received":{"telepathy":1}}`, `{"rejected":{"invalid":1,"mood":2}}`, `{"dead_lettered":{"":1}}`, `{"accepted":-1}`, `[]`,
	} {
		var c Counts
		if json.Unmarshal([]byte(text), &c) == nil {
			t.Errorf("%s was read as %+v", text, c)
		}
	}
}

// TestEveryConstantHasAName guards the arrays that are filled in by position.
func TestEveryConstantHasAName(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Protocols() {
		seen[p.String()] = true
	}
	for _, r := range DoorReasons() {
		seen[r.String()] = true
	}
	for _, r := range StoreReasons() {
		seen[r.String()] = true
	}
	if seen[""] || len(seen) != int(numProtocols)+int(numReasons) {
		t.Errorf("names are missing or stand twice: %v", seen)
	}
}
