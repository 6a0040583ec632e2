package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Pages that were written to must not be given back: the file does not have what is in them.
func TestAsInFile(t *testing.T) {
	const smaps = `00400000-00a9a000 r--p 00000000 fe:00 99                                 /bin/tidemark
Rss:                6760 kB
Anonymous:             0 kB
00a9a000-056c2000 r-xp 0069a000 fe:00 99                                 /bin/tidemark
Anonymous:             0 kB
0933b000-093ba000 r--p 08f3a000 fe:00 99                                 /bin/tidemark
Anonymous:           300 kB
093ba000-09520000 rw-p 08fb9000 fe:00 99                                 /bin/tidemark
Anonymous:             0 kB
09520000-0b5bb000 rw-p 00000000 00:00 0                                  [heap]
Anonymous:             0 kB
7f2e12b9a000-7f2e12c05000 r--p 00194000 fe:00 77                         /lib/libstdc++.so.6
Anonymous:             0 kB
7f2e12c30000-7f2e12c32000 r-xp 00000000 00:00 0 
Anonymous:             0 kB
VmFlags: rd ex mr mw me de
`
	got := asInFile(strings.NewReader(smaps), "/bin/tidemark")
	if want := []mapping{{0x400000, 0xa9a000}, {0xa9a000, 0x56c2000}}; !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// The program goes on after it has given back its own pages.
func TestForgetStart(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	if list := asInFile(maps, program); len(list) == 0 {
		t.Error("finds no mapping of its own program")
	}
	forgetStart()
}
