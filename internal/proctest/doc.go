// Package proctest runs programs beside a test: the service itself, Prometheus, Alertmanager, the
// collector.
//
// A program is gone when its test ends, and on Linux also when the test binary dies. What it said
// is shown when the test fails. It sees none of the variables that would configure the service or
// its telemetry but those that the test gives. Waiting is polling with a limit: nothing is
// concluded from how long it took.
package proctest
