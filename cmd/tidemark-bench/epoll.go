//go:build linux

package main

import (
	"errors"
	"syscall"
	"time"
	"unsafe"
)

// epollPwait2 is the number of a system call that the standard library does not name. Unlike
// epoll_wait it takes its timeout in nanoseconds: waking a millisecond late would be measured as
// the service's latency.
const epollPwait2 = 441

// poller waits for many connections at once.
type poller struct {
	fd    int
	ready [64]syscall.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	return &poller{fd: fd}, err
}

func (p *poller) close() error { return syscall.Close(p.fd) }

// watch asks for the readiness of fd, which is told by tag; writable too when its buffer was full.
func (p *poller) watch(op, fd, tag int, writable bool) error {
	e := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(tag)}
	if writable {
		e.Events |= syscall.EPOLLOUT
	}
	return syscall.EpollCtl(p.fd, op, fd, &e)
}

// wait returns what is ready, at the latest after the timeout.
func (p *poller) wait(timeout time.Duration) ([]syscall.EpollEvent, error) {
	ts := syscall.NsecToTimespec(max(0, timeout.Nanoseconds()))
	n, _, errno := syscall.Syscall6(epollPwait2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.ready[0])),
		uintptr(len(p.ready)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	if errno == syscall.EINTR {
		return nil, nil
	}
	if errno != 0 {
		return nil, errno
	}
	return p.ready[:n], nil
}

// dial opens a non-blocking connection to a loopback address.
func dial(port int) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	err = errors.Join(
		syscall.Connect(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}),
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1),
		syscall.SetNonblock(fd, true),
	)
	if err != nil {
		return 0, errors.Join(err, syscall.Close(fd))
	}
	return fd, nil
}
