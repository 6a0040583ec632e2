package perf

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// tree makes a file system of a machine from lines "path: content"; "⏎" is a newline.
func tree(text string) fstest.MapFS {
	files := fstest.MapFS{}
	for line := range strings.Lines(text) {
		if path, content, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			files[path] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(content, "⏎", "\n") + "\n")}
		}
	}
	return files
}

const (
	// A container of version 2 with its own namespace: half a CPU, 512 MiB.
	container2 = `
		proc/self/cgroup: 0::/
		proc/self/mountinfo: 29 23 0:26 / /sys/fs/cgroup ro,nosuid shared:4 - cgroup2 cgroup rw
		sys/fs/cgroup/memory.max: 536870912
		sys/fs/cgroup/memory.current: 300000000
		sys/fs/cgroup/memory.stat: anon 1⏎inactive_file 100000000⏎active_file 5
		sys/fs/cgroup/cpu.max: 50000 100000
		sys/fs/cgroup/cpu.stat: usage_usec 2500000⏎user_usec 1
		sys/fs/cgroup/cpuset.cpus.effective: 0-3`

	// A service of version 2 on a host: the limits stand at the slice above it.
	service2 = `
		proc/self/cgroup: 0::/app.slice/tidemark.service
		proc/self/mountinfo: 29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
		sys/fs/cgroup/cpu.stat: usage_usec 99000000
		sys/fs/cgroup/app.slice/memory.max: 1000
		sys/fs/cgroup/app.slice/memory.current: 900
		sys/fs/cgroup/app.slice/cpu.max: 150000 100000
		sys/fs/cgroup/app.slice/cpu.stat: usage_usec 7000000
		sys/fs/cgroup/app.slice/tidemark.service/memory.max: max
		sys/fs/cgroup/app.slice/tidemark.service/memory.current: 300
		sys/fs/cgroup/app.slice/tidemark.service/cpu.max: max 100000
		sys/fs/cgroup/app.slice/tidemark.service/cpu.stat: usage_usec 1000000`

	// A container of version 1 that sees the host's path but only its own group.
	container1 = `
		proc/self/cgroup: 5:memory:/docker/abc⏎4:cpu,cpuacct:/docker/abc⏎3:cpuset:/docker/abc⏎1:name=systemd:/x⏎0::/
		proc/self/mountinfo: 31 23 0:28 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory⏎32 23 0:29 /docker/abc /sys/fs/cgroup/cpu\040here ro - cgroup cgroup rw,cpu,cpuacct⏎33 23 0:30 /docker/abc /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset⏎41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
		sys/fs/cgroup/unified/memory.max: 5
		sys/fs/cgroup/memory/memory.limit_in_bytes: 2000
		sys/fs/cgroup/memory/memory.usage_in_bytes: 1500
		sys/fs/cgroup/memory/memory.stat: inactive_file 1⏎total_inactive_file 500
		sys/fs/cgroup/cpu here/cpu.cfs_quota_us: 200000
		sys/fs/cgroup/cpu here/cpu.cfs_period_us: 100000
		sys/fs/cgroup/cpu here/cpuacct.usage: 3000000000
		sys/fs/cgroup/cpuset/cpuset.cpus: 0,2-3,8`

	// A host of version 1 without limits.
	host1 = `
		proc/self/cgroup: 5:memory:/user⏎4:cpu,cpuacct:/user
		proc/self/mountinfo: 31 23 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory⏎32 23 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct
		sys/fs/cgroup/memory/user/memory.limit_in_bytes: 9223372036854771712
		sys/fs/cgroup/memory/user/memory.usage_in_bytes: 1500
		sys/fs/cgroup/cpu/user/cpu.cfs_quota_us: -1
		sys/fs/cgroup/cpu/user/cpu.cfs_period_us: 100000
		sys/fs/cgroup/cpu/user/cpuacct.usage: 3000000000`

	// No quota, but a set of two CPUs.
	pinned2 = `
		proc/self/cgroup: 0::/pod
		proc/self/mountinfo: 29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
		sys/fs/cgroup/pod/cpu.max: max 100000
		sys/fs/cgroup/pod/cpu.stat: usage_usec 4000000
		sys/fs/cgroup/pod/cpuset.cpus.effective: 1,3`

	nonsense = `
		proc/self/cgroup: 0::/../..⏎:⏎memory
		proc/self/mountinfo: 29⏎- cgroup2⏎29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
		sys/fs/cgroup/memory.max: -5
		sys/fs/cgroup/cpu.max: 5
		sys/fs/cgroup/cpuset.cpus.effective: 3-1`
)

func TestCgroups(t *testing.T) {
	for name, c := range map[string]struct {
		files       string
		used, limit uint64 // 0 = no limit
		cpuTime     time.Duration
		cpus        float64
	}{
		"container, version 2":     {container2, 200000000, 536870912, 2500 * time.Millisecond, 0.5},
		"service, version 2":       {service2, 900, 1000, 7 * time.Second, 1.5},
		"container, version 1":     {container1, 1000, 2000, 3 * time.Second, 2},
		"host, version 1":          {host1, 0, 0, 0, 0},
		"pinned to CPUs":           {pinned2, 0, 0, 4 * time.Second, 2},
		"nonsense":                 {nonsense, 0, 0, 0, 0},
		"no groups":                {"", 0, 0, 0, 0},
		"a group that is not seen": {strings.Replace(container2, "0::/", "0::/elsewhere", 1), 200000000, 536870912, 2500 * time.Millisecond, 0.5},
	} {
		g := findCgroups(tree(c.files))
		used, limit, ok := g.memoryUsed(8 << 30)
		if ok != (c.limit > 0) || ok && (used != c.used || limit != c.limit) {
			t.Errorf("%s: memory %d of %d, %v", name, used, limit, ok)
		}
		busy, cpus, ok := g.cpuUsed(4)
		if ok != (c.cpus > 0) || ok && (busy != c.cpuTime || cpus != c.cpus) {
			t.Errorf("%s: CPU %v of %v, %v", name, busy, cpus, ok)
		}
		if _, _, ok := g.memoryUsed(100); ok {
			t.Errorf("%s: a limit above the machine's memory counts", name)
		}
		if _, _, ok := g.cpuUsed(0.25); ok {
			t.Errorf("%s: a limit above the machine's CPUs counts", name)
		}
	}
}

func TestCountList(t *testing.T) {
	for list, want := range map[string]int{"0": 1, "0-3": 4, "0,2-3,8": 4, "": 0, "a": 0, "1-": 0, "3-1": 0, "0-99999999": 0, "1,,2": 0} {
		if n, ok := countList(list); ok != (want > 0) || ok && n != want {
			t.Errorf("%q: %d, %v", list, n, ok)
		}
	}
}

func FuzzFindCgroups(f *testing.F) {
	f.Add("0::/a/b", "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", "max 100000", "0-3")
	f.Add("4:cpu,cpuacct:/a", `32 23 0:29 / /sys\040x rw - cgroup cgroup rw,cpu,cpuacct`, "5 0", "1,")
	f.Fuzz(func(t *testing.T, own, mounts, quota, set string) {
		files := fstest.MapFS{}
		for path, content := range map[string]string{
			"proc/self/cgroup": own, "proc/self/mountinfo": mounts, "sys/fs/cgroup/cpu.max": quota,
			"sys/fs/cgroup/memory.max": quota, "sys/fs/cgroup/cpuset.cpus.effective": set,
		} {
			files[path] = &fstest.MapFile{Data: []byte(content)}
		}
		g := findCgroups(files)
		if _, limit, ok := g.memoryUsed(1000); ok && limit >= 1000 {
			t.Fatalf("limit %d", limit)
		}
		if _, cpus, ok := g.cpuUsed(4); ok && !(cpus > 0 && cpus < 4) {
			t.Fatalf("%v CPUs", cpus)
		}
	})
}
