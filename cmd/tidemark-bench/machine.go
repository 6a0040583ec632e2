//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
)

// machine is where the figures come from; what cannot be found out is left empty.
type machine struct {
	Processors int    `json:"processors"`
	Model      string `json:"model"`
	Memory     uint64 `json:"memory_bytes"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	Directory  string `json:"directory"`
	FileSystem string `json:"file_system"`
}

func thisMachine(dir string) machine {
	m := machine{Processors: runtime.NumCPU(), Go: runtime.Version(), Directory: dir}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := bytes.Cut(b, []byte("model name")); ok {
			line, _, _ := bytes.Cut(rest, []byte("\n"))
			m.Model = strings.Trim(string(line), "\t :")
		}
	}
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err == nil {
		m.Memory = uint64(info.Totalram) * uint64(info.Unit) //nolint:unconvert // the width differs between processors
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err == nil {
		m.FileSystem = fileSystem(int64(fs.Type)) //nolint:unconvert // the same
	}
	return m
}

// fileSystem names the usual ones. Memory is named as what it is: its fsync measures nothing.
func fileSystem(magic int64) string {
	switch magic {
	case 0xef53:
		return "ext2/3/4"
	case 0x58465342:
		return "xfs"
	case 0x9123683e:
		return "btrfs"
	case 0x2fc12fc1:
		return "zfs"
	case 0x794c7630:
		return "overlay"
	case 0x01021994:
		return "tmpfs: MEMORY, NOT A DISK"
	default:
		return fmt.Sprintf("%#x", magic)
	}
}
