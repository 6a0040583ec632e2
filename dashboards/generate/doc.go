// Command generate writes Grafana's dashboards as JSON files into the directory that is its
// argument. The dashboards are Go so that every query names its matchers, its interval and its
// data source the same way; the JSON is what Grafana loads, and what the tests beside it check.
//
//	go generate ./dashboards/generate
//
// The same source always gives the same bytes. The program is not part of tidemark.
package main

//go:generate go run . ..
