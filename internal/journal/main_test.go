package journal_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tidemark-obs/tidemark/internal/journal/journaltest"
)

func TestMain(m *testing.M) {
	journaltest.NodeMain()
	goleak.VerifyTestMain(m)
}
