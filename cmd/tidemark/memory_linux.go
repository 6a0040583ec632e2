package main

/*
#include <malloc.h>

static void limit_malloc(void) {
#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
#endif
}
*/
import "C"

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// limitMalloc has the C library give back what is freed. DuckDB keeps blocks and vectors with an allocator of its
// own, but what it knows of its tables, and the values of a percentile, with malloc. That has several arenas for each
// processor by default, and each keeps what is free in it, in ever larger pieces as larger ones were freed.
func limitMalloc() { C.limit_malloc() }

// forgetStart gives back the pages of the program itself, of which many are used by nothing but its start. Those
// that are used come back by themselves, from where the system keeps the file.
func forgetStart() {
	program, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close()
	for _, m := range asInFile(maps, program) {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.from, m.to-m.from, syscall.MADV_DONTNEED)
	}
}

type mapping struct{ from, to uintptr }

// asInFile are the mappings of a file that nobody can write to, and no page of which has been written to: what is
// in memory is what is in the file.
func asInFile(smaps io.Reader, file string) (list []mapping) {
	var m mapping
	of := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) >= 5 && strings.Contains(f[0], "-"):
			of = len(f) == 6 && f[5] == file && !strings.Contains(f[1], "w")
			_, _ = fmt.Sscanf(f[0], "%x-%x", &m.from, &m.to)
		case of && len(f) == 3 && f[0] == "Anonymous:" && f[1] == "0":
			list = append(list, m)
		}
	}
	return list
}
