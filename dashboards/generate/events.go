package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// events follows events through the service: doors, journal, store, and on to other services.
func events() page {
	return page{
		uid:         "tidemark-events",
		title:       "Tidemark / Events",
		description: "Events on their way through doors, journal and store, and on to destinations.",
		variables:   []variable{ledger()},
		rows: []row{
			{"Doors", doors()},
			{"Journal", journal()},
			{"Store", store()},
			{"Destinations", destinations()},
		},
	}
}

func doors() []panel {
	return []panel{
		stacked(third, perSec, "Received by protocol", "Events per second that came in, by the door they came through; self are the service's own requests.",
			q(`${ledger} by (protocol) (rate(tidemark_events_received_total{@}[@]))`, "{{protocol}}")),
		stacked(third, perSec, "Rejected by reason", "Events per second refused with an answer that says so, and why.",
			q(`${ledger} by (reason) (rate(tidemark_events_rejected_total{@}[@]))`, "{{reason}}")),
		lines(third, ratio, "Shares of received", "Which share of the received events was accepted, rejected or left out by sampling.",
			q(flow("accepted")+" / "+flow("received"), "accepted"),
			q(flow("rejected")+" / "+flow("received"), "rejected"),
			q(flow("sampled_out")+" / "+flow("received"), "sampled out")).
			Max(1),
	}
}

func journal() []panel {
	return []panel{
		lines(third, plain, "Waiting events", "Accepted events that wait in the journal to be stored.",
			q(`${ledger}(tidemark_events_pending{@})`, "waiting")),
		lines(third, seconds, "Age of the oldest waiting event", "How far storing is behind. It grows while the database is away or cannot keep up.",
			q(`tidemark_journal_oldest_event_age_seconds{@}`, "{{instance}}")),
		lines(third, ratio, "Filled", "Size of the journal as a share of the size at which it refuses events. Warnings are logged at 70 % and 90 %.",
			q(`tidemark_journal_bytes{@} / tidemark_journal_max_bytes{@}`, "{{instance}}")).
			Max(1).
			Thresholds(levels("green", level{0.7, "yellow"}, level{0.9, "red"})).
			ThresholdsStyle(limitLines()),
		lines(third, size, "Size", "Size of the journal on disk.",
			q(`tidemark_journal_bytes{@}`, "{{instance}}")),
		lines(third, seconds, "Write and fsync", "Time until one group of events is safely in the journal: what a client waits for.",
			q(`histogram_quantile(0.5, sum by (le) (rate(tidemark_journal_fsync_duration_seconds_bucket{@}[@])))`, "p50"),
			q(`histogram_quantile(0.95, sum by (le) (rate(tidemark_journal_fsync_duration_seconds_bucket{@}[@])))`, "p95"),
			q(`histogram_quantile(0.99, sum by (le) (rate(tidemark_journal_fsync_duration_seconds_bucket{@}[@])))`, "p99")),
		lines(third, plain, "Events per group", "Events that shared one fsync, on average. It grows with the load: that is what keeps waiting short.",
			q(flow("accepted")+` / ${ledger}(rate(tidemark_journal_fsync_duration_seconds_count{@}[@]))`, "events")),
		cells(full, seconds, "Write and fsync, distribution", "How long groups of events took to be safely in the journal.",
			q(`sum by (le) (rate(tidemark_journal_fsync_duration_seconds_bucket{@}[@]))`, "{{le}}")),
	}
}

func store() []panel {
	return []panel{
		stacked(third, perSec, "Stored", "Accepted events per second by where they ended.",
			q(flow("stored"), "stored"),
			q(flow("duplicate"), "duplicate"),
			q(flow("dead_lettered"), "dead-lettered")),
		stacked(third, perSec, "Dead letters by reason", "Accepted events per second that the database refuses, kept as dead letters.",
			q(`${ledger} by (reason) (rate(tidemark_events_dead_lettered_total{@}[@]))`, "{{reason}}")),
		lines(third, plain, "Events lost", "Accepted events that are nowhere. Anything but 0 is a fault.",
			q(`${ledger}(tidemark_events_lost{@})`, "lost")),
		lines(third, seconds, "Transaction duration", "Time of one storing transaction.",
			q(`histogram_quantile(0.5, sum by (le) (rate(tidemark_store_write_duration_seconds_bucket{@}[@])))`, "p50"),
			q(`histogram_quantile(0.95, sum by (le) (rate(tidemark_store_write_duration_seconds_bucket{@}[@])))`, "p95"),
			q(`histogram_quantile(0.99, sum by (le) (rate(tidemark_store_write_duration_seconds_bucket{@}[@])))`, "p99")),
		lines(third, plain, "Events per transaction", "The store writer takes more at once the more wait.",
			q(`sum(rate(tidemark_store_batch_events_sum{@}[@])) / sum(rate(tidemark_store_batch_events_count{@}[@]))`, "average"),
			q(`histogram_quantile(0.95, sum by (le) (rate(tidemark_store_batch_events_bucket{@}[@])))`, "p95")),
		lines(third, perSec, "Transactions", "Storing transactions per second.",
			q(`sum by (instance) (rate(tidemark_store_write_duration_seconds_count{@}[@]))`, "{{instance}}")),
	}
}

func destinations() []panel {
	stand := func(text, color string, index int32) dashboard.ValueMappingResult {
		return dashboard.ValueMappingResult{Text: new(text), Color: new(color), Index: new(index)}
	}
	return []panel{
		stacked(third, perSec, "Delivered", "Events per second that each destination took.",
			q(`sum by (destination) (rate(tidemark_destination_delivered_total{@}[@]))`, "{{destination}}")),
		stacked(third, perSec, "Failed deliveries", "Events per second of tries that did not succeed, each try anew. They are tried again until they succeed or are refused for good.",
			q(`sum by (destination) (rate(tidemark_destination_failed_total{@}[@]))`, "{{destination}}")),
		stacked(third, perSec, "Refused for good", "Events per second that a destination refuses for good, kept as its dead letters until they are replayed or dropped.",
			q(`sum by (destination) (rate(tidemark_destination_dead_lettered_total{@}[@]))`, "{{destination}}")),
		lines(half, plain, "Undelivered events", "Events that a destination has yet to get, those that its filter leaves out included. Of a paused one what will go out when it is resumed.",
			q(`${ledger} by (destination) (tidemark_destination_lag_events{@})`, "{{destination}}")),
		lines(half, seconds, "Age of the oldest undelivered event", "How far a destination is behind. At ten minutes an alert is due, unless it is paused.",
			q(`max by (destination) (tidemark_destination_lag_seconds{@})`, "{{destination}}")).
			Thresholds(levels("green", level{600, "red"})).
			ThresholdsStyle(limitLines()),
		states(full, "State of destinations", "What each destination does, where it runs. Retrying: the last try failed. Open: several in a row did, and it is tried now and then. Full: it waits until dead letters are replayed or dropped.",
			map[string]dashboard.ValueMappingResult{
				"0": stand("delivering", "green", 0),
				"1": stand("retrying", "yellow", 1),
				"2": stand("open", "red", 2),
				"3": stand("replaying", "blue", 3),
				"4": stand("paused", "gray", 4),
				"5": stand("full", "dark-red", 5),
			},
			q(`max by (destination, instance) (tidemark_destination_state{@})`, "{{destination}} {{instance}}")),
	}
}
