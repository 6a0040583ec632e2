//go:build !unix

package main

import "io/fs"

// keepPrivate has nothing to do: new files are as their directory says. No mode is to be set.
func keepPrivate() fs.FileMode { return 0 }
