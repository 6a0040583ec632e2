package perf

import (
	"fmt"
	"slices"
)

// The states of the machine, best first.
const (
	Healthy  = "healthy"
	Warning  = "warning"
	Critical = "critical"
)

// Above these percentages the machine is no longer healthy. They are fixed: the thresholds of
// the settings are for alerts, which speak earlier.
const (
	memoryWarning = 90
	cpuCritical   = 95
	diskCritical  = 95
)

// Health judges m: Critical when the CPU or the disk is nearly full, Warning when memory is or
// when something could not be read. issues, never nil, says why, the worst first.
func Health(m SystemMetrics) (status string, issues []string) {
	status, issues = Healthy, []string{}
	find := func(severity, issue string) {
		if status != Critical {
			status = severity
		}
		issues = append(issues, issue)
	}
	if m.CPUPercent > cpuCritical {
		find(Critical, fmt.Sprintf("CPU usage is %.1f %%, over %d %%", m.CPUPercent, cpuCritical))
	}
	if m.DiskUsagePercent > diskCritical {
		find(Critical, fmt.Sprintf("disk usage is %.1f %%, over %d %%", m.DiskUsagePercent, diskCritical))
	}
	if m.MemoryPercent > memoryWarning {
		find(Warning, fmt.Sprintf("memory usage is %.1f %%, over %d %%", m.MemoryPercent, memoryWarning))
	}
	for _, part := range []string{partMemory, partCPU, partDisk} { // of the others nothing is judged
		if slices.Contains(m.Unreadable, part) {
			find(Warning, part+" usage cannot be read")
		}
	}
	return status, issues
}
