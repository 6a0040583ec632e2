package otlp

import (
	"testing"

	"github.com/tidemark-obs/tidemark/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
