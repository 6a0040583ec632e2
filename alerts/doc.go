// Package alerts embeds the shipped alert rules, so that the program has them without a file
// beside it.
//
// Its promise: the files are plain Prometheus rule files that Prometheus from 2.42 on and the
// service itself load unchanged; every alert in them has a runbook under docs/runbooks and tests
// that make it fire and that keep it silent.
package alerts
