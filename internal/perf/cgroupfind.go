package perf

import (
	"io/fs"
	"path"
	"strings"
)

// unified names the tree of version 2, which has no controller's name.
const unified = ""

// findCgroups looks up, below root as seen from "/", which groups this process is in and where
// they are mounted. Mounts are read once; the files in them at every reading.
func findCgroups(root fs.FS) cgroups {
	own, mounts := ownGroups(root), groupMounts(root)
	find := func(controller string) hierarchy {
		// A machine may have both versions; a controller is in one of them.
		if at, ok := own[controller]; ok && len(mounts[controller]) > 0 {
			return hierarchy{levels: levels(root, mounts[controller], at)}
		}
		if at, ok := own[unified]; ok {
			return hierarchy{unified: true, levels: levels(root, mounts[unified], at)}
		}
		return hierarchy{}
	}
	return cgroups{
		root: root, memory: find("memory"), cpu: find("cpu"), usage: find("cpuacct"), cpuset: find("cpuset"),
	}
}

// ownGroups reads lines such as "4:cpu,cpuacct:/a/b" and "0::/a/b".
func ownGroups(root fs.FS) map[string]string {
	own := map[string]string{}
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return own
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			own[controller] = parts[2]
		}
	}
	return own
}

// groupMount is a mounted tree: the group at its root and the directory it is seen in.
type groupMount struct{ group, dir string }

// groupMounts reads lines such as "31 23 0:28 /group /sys/fs/cgroup/cpu rw - cgroup name rw,cpu".
func groupMounts(root fs.FS) map[string][]groupMount {
	mounts := map[string][]groupMount{}
	text, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return mounts
	}
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(string(text)) {
		before, after, ok := strings.Cut(line, " - ")
		place, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(place) < 5 || len(kind) < 3 {
			continue
		}
		mount := groupMount{group: unescape.Replace(place[3]), dir: unescape.Replace(place[4])}
		switch kind[0] {
		case "cgroup2":
			mounts[unified] = append(mounts[unified], mount)
		case "cgroup":
			for option := range strings.SplitSeq(kind[2], ",") {
				mounts[option] = append(mounts[option], mount)
			}
		}
	}
	return mounts
}

// levels returns the directories from the group own up to the root of the first mount that
// shows it. A container may see its own group as the root of the mount while its path is that
// of the host: then the root is all there is.
func levels(root fs.FS, mounts []groupMount, own string) []string {
	for _, m := range mounts {
		below, ok := strings.CutPrefix(own, strings.TrimSuffix(m.group, "/"))
		if ok && (below == "" || below[0] == '/') && !strings.Contains(below, "..") {
			if found := walk(root, m.dir, below); len(found) > 0 {
				return found
			}
		}
	}
	for _, m := range mounts {
		if found := walk(root, m.dir, ""); len(found) > 0 {
			return found
		}
	}
	return nil
}

// walk returns dir/below and its parents up to dir; none unless the first one exists.
func walk(root fs.FS, dir, below string) (found []string) {
	for at := path.Join("/", below); ; at = path.Dir(at) {
		found = append(found, strings.TrimPrefix(path.Join(dir, at), "/"))
		if at == "/" {
			break
		}
	}
	if _, err := fs.Stat(root, found[0]); err != nil {
		return nil
	}
	return found
}
