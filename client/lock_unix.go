//go:build unix && !solaris && !illumos && !aix

package client

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes a file for this process, until it is closed or the process ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(errors.New("another client uses this directory"), err, f.Close())
	}
	return f, nil
}
