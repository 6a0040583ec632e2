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
		present:     "tidemark_build_info",
		rows: []row{
			{"Machine", machine()},
			{"Process", process()},
			{"Go", goRuntime()},
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
		lines(half, size, "Memory in use", "Memory in use on the machine or in the container.",
			q(`sum by (instance) (system_memory_usage_bytes{@})`, "{{instance}}")),
		mirrored(lines(half, sizePerSec, "Network", "Bytes per second received (above) and sent (below).",
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
			q(`go_gc_duration_seconds{@, quantile="1"}`, "{{instance}} longest")),
		grid(full, "Versions", "The version of each instance and the Go release that built it.",
			map[string]string{"instance": "Instance", "job": "Job", "version": "Version"},
			column{"Running", plain, now(`max by (job, instance, version) (tidemark_build_info{@})`, "")}).
			Height(6),
	}
}

// mirrored draws what is negative below the zero line.
func mirrored(p *timeseries.PanelBuilder) *timeseries.PanelBuilder {
	return p.AxisCenteredZero(true)
}
