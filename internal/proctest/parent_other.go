//go:build !linux

package proctest

import "os/exec"

// dieWithParent does nothing where the kernel offers nothing of the kind.
func dieWithParent(*exec.Cmd) {}
