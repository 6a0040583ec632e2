package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// installation is what a server can be made from.
type installation struct {
	bin string // directory of initdb, pg_ctl and postgres
	// cred is the user to run as; nil = the test's own. PostgreSQL refuses to run as root.
	cred *syscall.Credential
}

func find() (installation, error) {
	bin, err := binaries()
	if err != nil {
		return installation{}, err
	}
	if os.Geteuid() != 0 {
		return installation{bin: bin}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return installation{}, err
		}
		return installation{bin: bin, cred: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return installation{}, errors.New("running as root and there is no user postgres or nobody")
}

// binaries finds the directory with the server's programs, the newest version first. Debian keeps
// them outside PATH and puts only a wrapper or a link there.
func binaries() (string, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	for _, dir := range dirs {
		if complete(dir) {
			return dir, nil
		}
	}
	return "", errors.New("initdb, pg_ctl and postgres are neither in /usr/lib/postgresql nor in PATH")
}

func complete(dir string) bool {
	for _, name := range []string{"initdb", "pg_ctl", "postgres"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// version reads the 15 of /usr/lib/postgresql/15/bin; 0 where there is none.
func version(dir string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	if err != nil {
		return 0
	}
	return n
}

// run runs one of the installation's programs in dir and returns what it said where it fails.
func (i installation) run(dir, program string, args ...string) error {
	cmd := exec.Command(filepath.Join(i.bin, program), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: i.cred}
	// A file and not a pipe: the server inherits it from pg_ctl, and a pipe would stay open.
	out, err := os.Create(filepath.Join(dir, program+".out"))
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, tail(out.Name()))
	}
	return nil
}

// tail returns the last lines of a file for an error message.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	const most = 2000
	return strings.TrimSpace(string(b[max(0, len(b)-most):]))
}
