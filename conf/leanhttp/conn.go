package leanhttp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// conn is a TCP connection that arms its deadline only when it has to wait: a
// timer of the runtime costs more than most of the waits it watches over, and
// one that is left armed wakes the process for nothing.
type conn struct {
	*net.TCPConn
	socket       socket
	interruptNow func()          // interrupt, made once
	watched      <-chan struct{} // closed when the context ends that may interrupt
	unwatch      func() bool
	deadline     time.Time
	armed        bool
	served       bool      // an answer was read to its end
	idleSince    time.Time // when that was

	mu          sync.Mutex // guards the deadlines against interrupt
	interrupted bool
}

func dial(ctx context.Context, dialer net.Dialer, address string) (*conn, error) {
	made, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	tcp, ok := made.(*net.TCPConn)
	if !ok {
		panic("leanhttp: dialing tcp gave another connection") // net says what it gives
	}
	c := &conn{TCPConn: tcp}
	c.interruptNow = c.interrupt
	if err := c.socket.open(tcp, c.arm); err != nil {
		_ = tcp.Close() // err says more
		return nil, err
	}
	return c, nil
}

// watch lets the end of ctx interrupt the connection, in place of another. It
// goes on between two exchanges, since most have the same context.
func (c *conn) watch(ctx context.Context) {
	if c.watched == ctx.Done() {
		return
	}
	if c.unwatch != nil {
		c.unwatch()
		c.unwatch = nil
	}
	if c.watched = ctx.Done(); c.watched != nil {
		c.unwatch = context.AfterFunc(ctx, c.interruptNow)
	}
}

// patience is how long a write waits before it looks whether the answer has
// come without waiting for the rest of the request.
const patience = 50 * time.Millisecond

// arm sets the deadline of a read or a write that is about to wait.
func (c *conn) arm(write bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.interrupted {
		return os.ErrDeadlineExceeded
	}
	c.armed = true
	if !write {
		return c.SetReadDeadline(c.deadline)
	}
	soon := time.Now().Add(patience)
	if soon.After(c.deadline) {
		soon = c.deadline
	}
	return c.SetWriteDeadline(soon)
}

// disarm ends what arm began. It reports whether the connection may be used
// again.
func (c *conn) disarm() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.armed && !c.interrupted {
		c.armed = false
		return c.SetDeadline(time.Time{}) == nil
	}
	return !c.interrupted
}

// interrupt makes a read or write that is waiting fail at once, and all that
// come after it. It may be called from any goroutine.
func (c *conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	_ = c.SetDeadline(time.Unix(1, 0)) // a closed connection has no need of it
}

// late is the error of a deadline that has passed, for a peer that never lets
// us wait.
func (c *conn) late(op string) error {
	if time.Now().Before(c.deadline) {
		return nil
	}
	return c.explain(op, os.ErrDeadlineExceeded)
}

// Read reads what is there, or waits for it.
func (c *conn) Read(p []byte) (int, error) {
	if err := c.late("read"); err != nil {
		return 0, err
	}
	n, err := c.socket.read(p)
	switch {
	case err != nil:
		return 0, c.explain("read", err)
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// quiet reports whether the peer has sent nothing and not closed, as befits a
// connection between two requests, or one whose request is not yet out.
func (c *conn) quiet() bool { return c.socket.quiet() }

// errAnswered says that an answer began before the whole request was out.
var errAnswered = errors.New("the answer came before the end of the request")

// write writes the parts, one behind the other, as few system calls as it can.
// It neither changes nor keeps them.
func (c *conn) write(parts [][]byte) error {
	c.socket.gather(parts)
	defer c.socket.release()
	for {
		if err := c.late("write"); err != nil {
			return err
		}
		err := c.socket.flush()
		if err == nil {
			return nil
		}
		c.mu.Lock()
		interrupted := c.interrupted
		c.mu.Unlock()
		if !errors.Is(err, os.ErrDeadlineExceeded) || interrupted {
			return c.explain("write", err)
		}
		if !c.quiet() {
			return errAnswered
		}
		if err := c.arm(true); err != nil {
			return c.explain("write", err)
		}
	}
}

// explain puts err in the words of the net package.
func (c *conn) explain(op string, err error) error {
	if wrapped, ok := errors.AsType[*net.OpError](err); ok {
		err = wrapped.Err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
