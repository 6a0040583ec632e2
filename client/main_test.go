package client

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(victimURL) != "" { // this process is one that TestAKilledProcess… kills
		if err := victim(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(patient{m}, goleak.Cleanup(func(code int) {
		removeProgram()
		os.Exit(code)
	}))
}

// patient gives goroutines that are about to end the time that a machine with other work may take
// for it; goleak alone gives them less than half a second.
type patient struct{ *testing.M }

func (p patient) Run() int {
	code := p.M.Run()
	for end := time.Now().Add(15 * time.Second); code == 0 && goleak.Find() != nil && time.Now().Before(end); {
	}
	return code
}
