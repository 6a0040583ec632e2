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

// limitMalloc has the C library give back what is freed. DuckDB keeps blocks and vectors with an allocator of its
// own, but what it knows of its tables, and the values of a percentile, with malloc. That has several arenas for each
// processor by default, and each keeps what is free in it, in ever larger pieces as larger ones were freed.
func limitMalloc() { C.limit_malloc() }
