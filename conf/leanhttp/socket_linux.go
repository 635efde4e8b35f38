//go:build !386 && !s390x && !race

package leanhttp

import (
	"net"
	"os"
	"syscall"
	"unsafe"
)

// socket makes the system calls of a connection without telling the scheduler
// of them. They never wait, since the socket does not block; only between them
// a goroutine does, in the poller as usual. Telling costs more than the calls:
// the first of them after an idle moment wakes the thread that watches over
// system calls, which then looks every 20 µs for as long as the process is
// busy, and on a single processor takes it away from a call that lasts longer.
type socket struct {
	raw  syscall.RawConn
	arm  func(write bool) error
	into []byte          // of the read in progress
	out  []syscall.Iovec // not yet written
	all  []syscall.Iovec // the memory of out

	peeked [1]byte // nobody reads it

	// What the call in progress came to.
	n     int
	errno syscall.Errno
	err   error

	// Methods as values, made once: a call allocates nothing.
	onRead, onWrite func(fd uintptr) (done bool)
	onPeek          func(fd uintptr)
}

// canPeek says that quiet can tell.
const canPeek = true

// maxVectors is the most that Linux takes in one call.
const maxVectors = 1024

func (s *socket) open(c *net.TCPConn, arm func(write bool) error) (err error) {
	s.raw, err = c.SyscallConn()
	s.arm, s.onRead, s.onWrite, s.onPeek = arm, s.tryRead, s.tryWrite, s.tryPeek
	return err
}

// read gives 0 bytes at the end.
func (s *socket) read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.into, s.n, s.errno, s.err = p, 0, 0, nil
	err := s.raw.Read(s.onRead)
	s.into = nil
	return s.n, s.outcome("read", err)
}

func (s *socket) outcome(call string, err error) error {
	switch {
	case err != nil:
		return err
	case s.errno != 0:
		return os.NewSyscallError(call, s.errno)
	}
	return s.err
}

func (s *socket) tryRead(fd uintptr) (done bool) {
	n, again := s.call(syscall.SYS_READ, fd, unsafe.Pointer(unsafe.SliceData(s.into)), len(s.into))
	if again {
		s.err = s.arm(false)
		return s.err != nil
	}
	s.n = n
	return true
}

// call makes a system call, and reports whether it has to be made again later.
func (s *socket) call(number, fd uintptr, memory unsafe.Pointer, length int) (n int, again bool) {
	for {
		r, _, errno := syscall.RawSyscall(number, fd, uintptr(memory), uintptr(length))
		switch errno {
		case 0:
			return int(r), false
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, true
		default:
			s.errno = errno
			return 0, false
		}
	}
}

// quiet reports whether a read would wait. It takes nothing off the socket.
func (s *socket) quiet() bool {
	s.errno = 0
	return s.raw.Control(s.onPeek) == nil && s.errno == syscall.EAGAIN
}

func (s *socket) tryPeek(fd uintptr) {
	_, _, s.errno = syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&s.peeked[0])), 1, syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
}

// gather makes parts what flush writes.
func (s *socket) gather(parts [][]byte) {
	s.all = s.all[:0]
	for _, part := range parts {
		if len(part) > 0 {
			v := syscall.Iovec{Base: unsafe.SliceData(part)}
			v.SetLen(len(part))
			s.all = append(s.all, v)
		}
	}
	s.out = s.all
}

// release lets go of what gather was given.
func (s *socket) release() {
	clear(s.all)
	s.all, s.out = s.all[:0], nil
	if cap(s.all) > maxVectors {
		s.all = nil
	}
}

// flush writes what was gathered. After a deadline it may be called again, and
// goes on where it was.
func (s *socket) flush() error {
	s.errno, s.err = 0, nil
	return s.outcome("writev", s.raw.Write(s.onWrite))
}

func (s *socket) tryWrite(fd uintptr) (done bool) {
	for len(s.out) > 0 {
		n, again := s.call(syscall.SYS_WRITEV, fd, unsafe.Pointer(unsafe.SliceData(s.out)), min(len(s.out), maxVectors))
		if again {
			s.err = s.arm(true)
			return s.err != nil
		}
		if s.errno != 0 {
			return true
		}
		s.written(n)
	}
	return true
}

// written takes n bytes off what is to be written.
func (s *socket) written(n int) {
	for n > 0 {
		v := &s.out[0]
		if length := int(v.Len); n >= length {
			n -= length
			s.out = s.out[1:]
			continue
		}
		v.Base = (*byte)(unsafe.Add(unsafe.Pointer(v.Base), n))
		v.SetLen(int(v.Len) - n)
		return
	}
}
