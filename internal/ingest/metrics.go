package ingest

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// collector exports the ledger. The counters are the journal's: they go on over restarts, and
// replicas that share one journal all report the same.
type collector struct {
	p                                     *Pipeline
	received, rejected, sampled, accepted *prometheus.Desc
	stored, duplicate, dead               *prometheus.Desc
	pending, lost                         *prometheus.Desc
	journalBytes, journalMax, journalAge  *prometheus.Desc
}

// Collectors returns the ledger, the journal's state, the store writer's measurements and the metrics
// made from events.
func (p *Pipeline) Collectors() []prometheus.Collector {
	list := []prometheus.Collector{p.collector(), p.writer.metrics.seconds, p.writer.metrics.events}
	if p.writer.exporter != nil {
		list = append(list, p.writer.exporter)
	}
	return list
}

func (p *Pipeline) collector() *collector {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tidemark_"+name, help, labels, nil)
	}
	return &collector{
		p:         p,
		received:  d("events_received_total", "Events that came in at a door.", "protocol"),
		rejected:  d("events_rejected_total", "Events refused with an answer that says so.", "reason"),
		sampled:   d("events_sampled_out_total", "Events left out by sampling."),
		accepted:  d("events_accepted_total", "Events answered with yes: on disk in the journal."),
		stored:    d("events_stored_total", "Accepted events stored in the database."),
		duplicate: d("events_duplicate_total", "Accepted events whose id was stored before."),
		dead:      d("events_dead_lettered_total", "Accepted events that the database refuses, kept as dead letters.", "reason"),
		pending:   d("events_pending", "Accepted events that wait in the journal."),
		lost:      d("events_lost", "Accepted events that are nowhere; anything but 0 is a fault."),

		journalBytes: d("journal_bytes", "Size of the journal in bytes."),
		journalMax:   d("journal_max_bytes", "Size in bytes at which the journal refuses events."),
		journalAge:   d("journal_oldest_event_age_seconds", "Age of the oldest event that waits in the journal."),
	}
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	n, pending, lost := c.p.counts()
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	for _, p := range event.Protocols() {
		counter(c.received, n.Received[p], p.String())
	}
	for _, r := range event.DoorReasons() {
		counter(c.rejected, n.Rejected[r], r.String())
	}
	for _, r := range event.StoreReasons() {
		counter(c.dead, n.DeadLettered[r], r.String())
	}
	counter(c.sampled, n.SampledOut)
	counter(c.accepted, n.Accepted)
	counter(c.stored, n.Stored)
	counter(c.duplicate, n.Duplicate)
	gauge(c.pending, float64(pending))
	gauge(c.lost, float64(lost))

	s := c.p.cfg.Log.State()
	gauge(c.journalBytes, float64(s.Bytes))
	gauge(c.journalMax, float64(s.MaxBytes))
	age := 0.0
	if pending > 0 && !s.Oldest.IsZero() {
		age = max(0, c.p.cfg.Now().Sub(s.Oldest).Seconds())
	}
	gauge(c.journalAge, age)
}
