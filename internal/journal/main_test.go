package journal_test

import (
	"testing"

	"github.com/tidemark-obs/tidemark/internal/journal/journaltest"
	"github.com/tidemark-obs/tidemark/internal/leaktest"
)

func TestMain(m *testing.M) {
	journaltest.NodeMain()
	leaktest.Main(m)
}
