package perf

import (
	"log/slog"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
