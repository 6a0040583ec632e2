//go:build !unix || solaris || illumos || aix

package client

import (
	"errors"
	"os"
)

// lockFile refuses: without a lock two processes could spoil one spool.
func lockFile(string) (*os.File, error) {
	return nil, errors.New("this system has no file locks that a spool could rely on")
}
