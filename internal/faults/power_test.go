//go:build linux

package faults

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// TestPowerCut freezes the process under load, copies what is on its disk at that moment, and
// goes on with the copy. Where the machine allows it, the disk is an ext4 image and the copy is
// taken beneath the file system: what was written and not synced is gone, as after a power cut.
func TestPowerCut(t *testing.T) {
	story(t)
	onEach(t, func(t *testing.T, url string) {
		disk := newPlug(t)
		s, b := newService(t, url, dataDir(disk.data())), newBook()
		s.start()
		l := startLoad(t, b, steady, s)
		for range pick(3, 18) {
			b.awaitYes(t, 500+rand.IntN(3000))
			s.Signal(syscall.SIGSTOP)
			disk.cut()
			s.Kill()
			s.dir = disk.data()
			s.start()
		}
		b.awaitYes(t, 500)
		l.stop()
		verify(t, b, nil, s)
		t.Log("power cuts simulated by", disk.how())
	})
}

// plug is a disk whose power can be cut, again and again: each cut moves on to a copy of what the
// disk held.
type plug struct {
	t     *testing.T
	dir   string
	n     int
	image bool // else the copy is made file by file, what was not synced included
}

func newPlug(t *testing.T) *plug {
	t.Helper()
	p := &plug{t: t, dir: t.TempDir()}
	p.image = p.format()
	if p.image {
		return p
	}
	if err := os.MkdirAll(p.mountPoint(), 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *plug) how() string {
	if p.image {
		return "raw copies of a mounted ext4 image"
	}
	return "copies of the data directory, file by file"
}

func (p *plug) mountPoint() string { return filepath.Join(p.dir, "disk-"+strconv.Itoa(p.n)) }

func (p *plug) file() string { return p.mountPoint() + ".img" }

func (p *plug) data() string { return filepath.Join(p.mountPoint(), "data") }

// format makes and mounts an image; false when this machine does not let a test do that.
func (p *plug) format() bool {
	p.t.Helper()
	if os.Geteuid() != 0 {
		return false
	}
	f, err := os.Create(p.file())
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(512 << 20); err != nil {
		p.t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", p.file()).CombinedOutput(); err != nil {
		p.t.Logf("no ext4 image: %v %s", err, out)
		return false
	}
	if _, err := image(p.t, p.file(), p.mountPoint()); err != nil {
		p.t.Logf("no ext4 image: %v", err)
		return false
	}
	return true
}

// cut copies the disk as it is and moves on to the copy.
func (p *plug) cut() {
	p.t.Helper()
	from := *p
	p.n++
	if !p.image {
		p.copy(from.mountPoint(), p.mountPoint())
		return
	}
	p.snapshot(from.file(), p.file())
	if _, err := image(p.t, p.file(), p.mountPoint()); err != nil {
		p.t.Fatalf("mounting the disk after the power cut: %v", err)
	}
}

// snapshot copies an image as it is at one moment. The kernel goes on writing what the frozen process
// gave it, and a copy that has an early block from before such a write and a late one from after it is
// what no power cut leaves. One that equals the image when it is complete has no such mixture.
func (p *plug) snapshot(from, to string) {
	p.t.Helper()
	var err error
	for range 20 {
		p.copy(from, to)
		if err = exec.Command("cmp", "--silent", from, to).Run(); err == nil {
			return
		}
	}
	p.t.Fatalf("the disk does not hold still: %v", err)
}

func (p *plug) copy(from, to string) {
	p.t.Helper()
	if out, err := exec.Command("cp", "-a", "--sparse=always", from, to).CombinedOutput(); err != nil {
		p.t.Fatalf("copying %s: %v %s", from, err, out)
	}
}
