// Package deploy holds files that start Tidemark together with Prometheus, Alertmanager, Grafana,
// an OpenTelemetry collector and a store of traces, and what is promised of them: the programs
// that read them accept them, and what one names is where the others look for it.
//
// docs/dashboards.md says how to use them.
package deploy
