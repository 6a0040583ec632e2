package proctest

import (
	"regexp"
	"strings"
)

var (
	complaint = regexp.MustCompile(`level=(?i:warn|error)\b`)
	// What Prometheus says whatever it is asked for: that it ends, that it was late, that samples came
	// again because an answer was late, and what its disk and its limits are.
	ofMachine = regexp.MustCompile(`exiting gracefully|deadline exceeded|context canceled|timed out|i/o timeout|` +
		`msg="Out of order |msg="Error on ingesting out-of-order exemplars" component=web|` +
		`filesystem is not supported|GOMAXPROCS|GOMEMLIMIT`)
)

// Complaints are the warnings and errors that Prometheus said of what a test gave it: its configuration,
// rules and samples, not the machine.
func Complaints(said string) (lines []string) {
	for line := range strings.Lines(said) {
		if complaint.MatchString(line) && !ofMachine.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return lines
}
