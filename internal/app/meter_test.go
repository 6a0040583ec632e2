package app

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAMoveTellsHowFarItIs(t *testing.T) {
	began := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		m                *meter
		events, rejected int64
		want             string
	}{
		{&meter{verb: "exported", total: 10_000_000, first: 200_000}, 1_200_000, 0, "exported 1,200,000 of 10,000,000 events, 100,000/s"},
		{&meter{verb: "imported", total: -1, share: func() float64 { return 0.129 }}, 1_000, 3, "imported 1,000 events (12 %), 100/s, 3 rejected"},
		{&meter{verb: "imported", total: -1}, 0, 0, "imported 0 events, 0/s"},
	} {
		c.m.began = began
		if got := c.m.line(c.events, c.rejected, began.Add(10*time.Second)); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestShareOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	ok(t, os.WriteFile(path, make([]byte, 400), 0o600))
	f, err := os.Open(path)
	ok(t, err)
	defer f.Close()
	share := shareOf(f)
	_, err = f.Read(make([]byte, 100))
	if ok(t, err); share() != 0.25 {
		t.Errorf("%v", share())
	}
	if none, err := os.Open(os.DevNull); err != nil || shareOf(none) != nil {
		t.Errorf("a device has a share, %v", err)
	} else {
		ok(t, none.Close())
	}
}
