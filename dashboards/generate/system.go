package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// system shows the machine, the process on it and Go's runtime in that.
func system() page {
	return page{
		uid:         "tidemark-system",
		title:       "Tidemark / System and runtime",
		description: "The machine as far as the service may use it, its process, and Go's runtime.",
		rows: []row{
			{"Machine", machine()},
			{"Process", process()},
			{"Go", goRuntime()},
			{"Telemetry", telemetry()},
		},
	}
}

func machine() []panel {
	return []panel{
		gauges(quarter, ratio, "Share of each threshold", "How near each measurement is to its threshold; from 100 % on its alert comes. The thresholds are those in force.",
			levels("green", level{0.8, "yellow"}, level{1, "red"}),
			q(`max(system_cpu_utilization_ratio{@} / on (job, instance) group_left () tidemark_threshold{@, name="high_cpu_percent"})`, "CPU"),
			q(`max(system_memory_utilization_ratio{@} / on (job, instance) group_left () tidemark_threshold{@, name="high_memory_percent"})`, "memory"),
			q(`max(system_filesystem_utilization_ratio{@} / on (job, instance) group_left () tidemark_threshold{@, name="high_disk_percent"})`, "disk")),
		lines(quarter, ratio, "CPU", "Share of the processor time that the service's machine or container may use.",
			q(`system_cpu_utilization_ratio{@}`, "{{instance}}"),
			threshold("high_cpu_percent")).Max(1),
		lines(quarter, ratio, "Memory", "Share of the memory that the service's machine or container may use.",
			q(`system_memory_utilization_ratio{@}`, "{{instance}}"),
			threshold("high_memory_percent")).Max(1),
		lines(quarter, ratio, "Disk", "How full the file system of the data directory is.",
			q(`system_filesystem_utilization_ratio{@}`, "{{instance}} {{system_filesystem_mountpoint}}"),
			threshold("high_disk_percent")).Max(1),
		lines(quarter, size, "Memory in use", "Memory in use on the machine or in the container, beside how much there is.",
			q(`sum by (instance) (system_memory_usage_bytes{@})`, "{{instance}} in use"),
			q(`sum by (instance) (system_memory_limit_bytes{@})`, "{{instance}} limit")),
		lines(quarter, size, "Disk in use", "Space in use on the file system of the data directory, beside its size.",
			q(`system_filesystem_usage_bytes{@}`, "{{instance}} in use"),
			q(`system_filesystem_limit_bytes{@}`, "{{instance}} size")),
		lines(quarter, plain, "Load", "Threads that ran or waited to on the machine, on average over 1, 5 and 15 minutes.",
			q(`system_cpu_load_average_1m{@}`, "{{instance}} 1m"),
			q(`system_cpu_load_average_5m{@}`, "{{instance}} 5m"),
			q(`system_cpu_load_average_15m{@}`, "{{instance}} 15m")),
		mirrored(lines(quarter, sizePerSec, "Network", "Bytes per second received (above) and sent (below).",
			q(`sum by (instance) (rate(system_network_io_bytes_total{@, network_io_direction="receive"}[@]))`, "{{instance}} received"),
			q(`-sum by (instance) (rate(system_network_io_bytes_total{@, network_io_direction="transmit"}[@]))`, "{{instance}} sent"))),
	}
}

func process() []panel {
	return []panel{
		lines(quarter, plain, "Processor cores", "Cores that the process kept busy.",
			q(`rate(process_cpu_seconds_total{@}[@])`, "{{instance}}")),
		lines(quarter, size, "Resident memory", "Memory of the process that is in RAM, the embedded database's included.",
			q(`process_resident_memory_bytes{@}`, "{{instance}}")),
		lines(quarter, ratio, "Open files", "Open file descriptors as a share of what the process may open.",
			q(`process_open_fds{@} / process_max_fds{@}`, "{{instance}}")).Max(1),
		number(quarter, sinceEpoch, "Started", "When the process started.",
			levels("blue"),
			q(`process_start_time_seconds{@} * 1000`, "{{instance}}")).
			GraphMode(common.BigValueGraphModeNone).Height(8),
	}
}

func goRuntime() []panel {
	// Prometheus 3 calls the longest pause 1.0, older ones 1.
	return []panel{
		lines(quarter, plain, "Goroutines", "Goroutines that exist. Steady growth is a leak.",
			q(`go_goroutines{@}`, "{{instance}}")),
		lines(quarter, size, "Heap", "Memory of live and not yet collected objects, beside what the next collection aims at.",
			q(`go_memstats_heap_alloc_bytes{@}`, "{{instance}} in use"),
			q(`go_memstats_next_gc_bytes{@}`, "{{instance}} next collection")),
		lines(quarter, sizePerSec, "Allocation", "Bytes allocated per second.",
			q(`rate(go_memstats_alloc_bytes_total{@}[@])`, "{{instance}}")),
		lines(quarter, seconds, "Garbage collection pauses", "Average pause of a collection, and the longest one that is remembered.",
			q(`rate(go_gc_duration_seconds_sum{@}[@]) / rate(go_gc_duration_seconds_count{@}[@])`, "{{instance}} average"),
			q(`go_gc_duration_seconds{@, quantile=~"1|1[.]0"}`, "{{instance}} longest")),
		grid(full, "Versions", "The version of each instance and the Go release that built it.",
			map[string]string{"instance": "Instance", "job": "Job", "version": "Version", "revision": "Revision", "goversion": "Go"},
			column{"Running", plain, now(`max by (job, instance, version, revision, goversion) (tidemark_build_info{@})`, "")}).
			Height(6),
	}
}

// telemetry is whether what others look at leaves the process.
func telemetry() []panel {
	return []panel{
		stacked(quarter, perSec, "Sent over OTLP", "Spans, log records and events per second that a collector took.",
			q(`sum by (signal) (rate(tidemark_otlp_exported_total{@}[@]))`, "{{signal}}")),
		lines(quarter, perSec, "Not sent over OTLP", "Spans, log records and events per second that were given up, and exports that failed after all tries.",
			q(`sum by (signal) (rate(tidemark_otlp_dropped_total{@}[@]))`, "{{signal}} given up"),
			q(`sum by (signal) (rate(tidemark_otlp_export_failures_total{@}[@]))`, "{{signal}} exports failed")),
		lines(quarter, plain, "Series in the built-in metric store", "Series that the service keeps by itself to evaluate its alerts.",
			q(`prometheus_tsdb_head_series{@}`, "{{instance}}")),
		lines(quarter, size, "Size of the built-in metric store", "Blocks and write log on disk.",
			q(`prometheus_tsdb_storage_blocks_bytes{@} + prometheus_tsdb_wal_storage_size_bytes{@}`, "{{instance}}")),
	}
}

// mirrored draws what is negative below the zero line.
func mirrored(p *timeseries.PanelBuilder) *timeseries.PanelBuilder {
	return p.AxisCenteredZero(true)
}
