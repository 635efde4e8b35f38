//go:build !linux || 386 || s390x || race

package leanhttp

import (
	"errors"
	"io"
	"net"
)

// socket makes the system calls of a connection as net does; see the one for
// Linux. The race detector takes a system call for what orders two goroutines
// only if it is made this way, and tests have both ends in one process.
type socket struct {
	tcp *net.TCPConn
	arm func(write bool) error
	out net.Buffers
}

// canPeek says that quiet cannot tell.
const canPeek = false

func (s *socket) open(c *net.TCPConn, arm func(write bool) error) error {
	s.tcp, s.arm = c, arm
	return nil
}

// read gives 0 bytes at the end.
func (s *socket) read(p []byte) (int, error) {
	if err := s.arm(false); err != nil {
		return 0, err
	}
	n, err := s.tcp.Read(p)
	if n > 0 || errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// quiet cannot tell here, and says yes.
func (s *socket) quiet() bool { return true }

// gather makes parts what flush writes.
func (s *socket) gather(parts [][]byte) { s.out = append(net.Buffers(nil), parts...) }

// release lets go of what gather was given.
func (s *socket) release() { s.out = nil }

// flush writes what was gathered. After a deadline it may be called again, and
// goes on where it was.
func (s *socket) flush() error {
	if err := s.arm(true); err != nil {
		return err
	}
	_, err := s.out.WriteTo(s.tcp)
	return err
}
