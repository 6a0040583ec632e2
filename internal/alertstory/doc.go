// Package alertstory has only tests: the real program with the shipped alert rules, beside a real
// Prometheus and a real Alertmanager, from a measurement over its threshold to the message and
// back, and over a kill -9 in between.
//
// The file is the shipped one, but for its waiting times: stories rewrite each `for: 5m` and the
// like to seconds, and nothing else. Thresholds are moved through POST /api/analytics/config, as
// an operator would, so that what is measured is the real machine.
package alertstory
