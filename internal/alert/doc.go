// Package alert watches the service from inside: it scrapes the service's own metrics, keeps
// them in a small store on disk, and evaluates Prometheus rule files over them with Prometheus'
// own engine, so that the same file gives the same verdict here and there.
//
//	/metrics (in memory) ─┐
//	other targets ────────┴▶ scrape ─▶ store (data.dir/metrics) ─▶ rules ─▶ NotifyFunc
//	                                     │    ▲ ALERTS, ALERTS_FOR_STATE, recorded series
//	                                     └────┴──▶ Prometheus HTTP API
//
// It promises: nothing that happens to the store, to a target or to a rule stops the service or
// its intake of events; a store that is damaged, full or from the future is repaired or moved
// aside, logged and counted; how long an alert has been pending survives a restart; rules and
// targets are replaced only by ones that are valid as a whole.
package alert
