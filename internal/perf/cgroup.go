package perf

import (
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"
)

// cgroups are the control groups this process is in. A limit may stand at any level, so each
// hierarchy has all of them. Empty where there are none, as outside of Linux.
type cgroups struct {
	root                       fs.FS
	memory, cpu, usage, cpuset hierarchy
}

// hierarchy is the directories of one controller, innermost first.
type hierarchy struct {
	unified bool // version 2
	levels  []string
}

// memoryUsed returns the usage and limit of the level with the lowest limit below the
// machine's memory. As kubelet does, file pages nobody used lately do not count as used.
func (g cgroups) memoryUsed(machine uint64) (used, limit uint64, ok bool) {
	limitFile, usageFile, inactive := "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
	if g.memory.unified {
		limitFile, usageFile, inactive = "memory.max", "memory.current", "inactive_file"
	}
	limit = machine
	for _, dir := range g.memory.levels {
		allowed, found := g.number(dir, limitFile)
		if !found || allowed >= limit || allowed == 0 {
			continue
		}
		now, found := g.number(dir, usageFile)
		if !found {
			continue
		}
		idle, _ := strconv.ParseUint(g.entry(dir, "memory.stat", inactive), 10, 64)
		used, limit, ok = now-min(idle, now), allowed, true
	}
	return used, limit, ok
}

// cpuUsed returns the CPU time used so far at the level that allows the fewest CPUs, by quota
// or by set, if that is fewer than the machine has.
func (g cgroups) cpuUsed(machine float64) (used time.Duration, limit float64, ok bool) {
	limit = machine
	level := 0
	for i, dir := range g.cpu.levels {
		if quota, found := g.quota(dir); found && quota < limit {
			limit, level, ok = quota, i, true
		}
	}
	if set, found := g.cpus(); found && set < limit {
		limit, level, ok = set, 0, true
	}
	if !ok || len(g.usage.levels) == 0 {
		return 0, 0, false
	}
	if len(g.usage.levels) != len(g.cpu.levels) {
		level = 0 // mounted apart: the own group's usage is the best there is
	}
	used, ok = g.cpuTime(g.usage.levels[level])
	return used, limit, ok
}

// quota is how many CPUs a level may use, such as 1.5.
func (g cgroups) quota(dir string) (float64, bool) {
	quota, period := g.text(dir, "cpu.cfs_quota_us"), g.text(dir, "cpu.cfs_period_us")
	if g.cpu.unified {
		quota, period, _ = strings.Cut(g.text(dir, "cpu.max"), " ")
	}
	q, err1 := strconv.ParseFloat(quota, 64) // "max" and -1 are no limit
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || !(q > 0) || !(p > 0) || math.IsInf(q/p, 0) {
		return 0, false
	}
	return q / p, true
}

// cpus is how many CPUs the group may run on at all.
func (g cgroups) cpus() (float64, bool) {
	files := []string{"cpuset.effective_cpus", "cpuset.cpus"}
	if g.cpuset.unified {
		files = []string{"cpuset.cpus.effective"}
	}
	for _, dir := range g.cpuset.levels {
		for _, file := range files {
			if n, ok := countList(g.text(dir, file)); ok {
				return float64(n), true
			}
		}
	}
	return 0, false
}

func (g cgroups) cpuTime(dir string) (time.Duration, bool) {
	if g.usage.unified {
		n, err := strconv.ParseUint(g.entry(dir, "cpu.stat", "usage_usec"), 10, 53)
		return time.Duration(n) * time.Microsecond, err == nil
	}
	n, ok := g.number(dir, "cpuacct.usage")
	return time.Duration(min(n, math.MaxInt64)), ok
}

// countList counts a list of CPUs such as "0-3,8".
func countList(list string) (n int, ok bool) {
	if list == "" {
		return 0, false
	}
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.ParseUint(from, 10, 16)
		if err != nil {
			return 0, false
		}
		last := first
		if isRange {
			if last, err = strconv.ParseUint(to, 10, 16); err != nil || last < first {
				return 0, false
			}
		}
		n += int(last-first) + 1
	}
	return n, true
}

// text is a file's trimmed content, empty when it cannot be read.
func (g cgroups) text(dir, file string) string {
	b, err := fs.ReadFile(g.root, dir+"/"+file)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (g cgroups) number(dir, file string) (uint64, bool) {
	n, err := strconv.ParseUint(g.text(dir, file), 10, 64)
	return n, err == nil
}

// entry is one value of a file of "name value" lines.
func (g cgroups) entry(dir, file, name string) string {
	for line := range strings.Lines(g.text(dir, file)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && key == name {
			return value
		}
	}
	return ""
}
