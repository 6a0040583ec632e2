// Package tooltest finds the programs that tests run beside the service: Prometheus, promtool,
// pint, Alertmanager, the OpenTelemetry collector.
//
// The pinned ones are built by `make tools` into bin/tools; others come from the machine's
// packages. Where a program is missing, the test is skipped with a message that says how to get
// it; under CI=true that is a failure, so that no check silently stops being one.
package tooltest
