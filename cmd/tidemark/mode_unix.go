//go:build unix

package main

import (
	"io/fs"
	"syscall"
)

// keepPrivate has every file that the program makes be its user's alone: the embedded database and the metric
// store ask for more. It returns the mode of files that were to be others' too.
func keepPrivate() fs.FileMode {
	return 0o666 &^ fs.FileMode(syscall.Umask(0o077))
}
