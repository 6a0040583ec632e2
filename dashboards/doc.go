// Package dashboards holds Grafana's dashboards, as JSON files that the program in generate
// writes, and what is promised of them: every rule of Grafana's linter holds, every metric they
// name is in the catalogue, and every query has data on a Prometheus that scrapes a busy service.
// Exceptions are in .lint, the linter's own file, each with its reason.
package dashboards
