package main

import (
	"os"
	"runtime/debug"

	"github.com/tidemark-obs/tidemark/internal/app"
)

// limitMemory keeps the process within the memory that is promised, beside the limit of the embedded database.
// It comes before anything else takes much. Whoever starts the program may say otherwise.
func limitMemory(cfg *app.Config) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(cfg.HeapLimit())
	}
	if os.Getenv("GLIBC_TUNABLES") == "" && os.Getenv("MALLOC_ARENA_MAX") == "" {
		limitMalloc()
	}
}
