// Package leanhttp makes plain-HTTP requests of one server again and again over
// a connection that it keeps. It does for the usual page of a target on the same
// node, and for the usual answer of an endpoint, what net/http does for
// everything, at a fraction of the cost: no goroutine, no buffer of its own, and
// few system calls. It knows neither TLS, proxies nor redirects, and undoes no
// compression; an answer that needs more than it knows is an UnusualError, and
// net/http's.
package leanhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Client makes requests of one server, one at a time. It belongs to one
// goroutine.
type Client struct {
	address string
	dialer  net.Dialer

	conn *conn // nil while there is none
	body body
}

// New makes a client that dials address (host:port). It opens no connection.
func New(address string, dialer net.Dialer) *Client {
	return &Client{address: address, dialer: dialer}
}

// An UnusualError says that an answer needs a fuller client. The connection is
// closed; the same request may be made with another client at once.
type UnusualError struct{ What string }

func (e *UnusualError) Error() string { return "answer with " + e.What }

const (
	// HeadLimit is the most bytes of status line and headers.
	HeadLimit = 16 << 10
	// idleLimit is how long a connection is kept for the next request: longer
	// than most intervals, shorter than the memory of most firewalls.
	idleLimit = 5 * time.Minute
	// informational is the most answers of status 1xx before the one that counts.
	informational = 5
)

// Do sends the parts of request, one behind the other, and reads the head of the
// answer. The request is a whole one of HTTP/1.1 and may be sent twice: Do does
// so at once if the server closed a kept connection. buffer is scratch until
// Do returns, and keeps the head and the beginning of the body after that: it
// must be left alone until Read has returned the first time; up to HeadLimit
// bytes of it are used. The deadline holds for dialing, writing, and all that is
// read up to the end of the body, as does ctx. Whoever calls Do reads to the end
// or calls Discard.
func (c *Client) Do(ctx context.Context, deadline time.Time, request [][]byte, buffer []byte) (Head, error) {
	c.Discard()
	head, err := c.try(ctx, deadline, request, buffer)
	if err != nil && c.conn != nil && c.conn.served && isGone(err) {
		// The server closed an idle connection, as servers do: not a failure.
		c.drop()
		head, err = c.try(ctx, deadline, request, buffer)
	}
	if err != nil {
		c.drop()
	}
	return head, err
}

// staleError is a failure before the first byte of an answer.
type staleError struct{ error }

func (e staleError) Unwrap() error { return e.error }

// isGone reports whether a request may be sent again: no byte of an answer
// came, and time was not the reason.
func isGone(err error) bool {
	if _, stale := errors.AsType[staleError](err); !stale {
		return false
	}
	timeout, ok := errors.AsType[net.Error](err)
	return !ok || !timeout.Timeout()
}

func (c *Client) try(ctx context.Context, deadline time.Time, request [][]byte, buffer []byte) (Head, error) {
	if err := c.connect(ctx, deadline); err != nil {
		return Head{}, err
	}
	lost := c.conn.write(request)
	if timeout, ok := errors.AsType[net.Error](lost); ok && timeout.Timeout() {
		return Head{}, lost
	}
	// A server may answer, and close, before it has read all.
	head, err := c.answer(buffer[:min(len(buffer), HeadLimit)])
	if lost != nil {
		c.body.keep = false
		if _, nothing := errors.AsType[staleError](err); nothing && !errors.Is(lost, errAnswered) {
			return head, staleError{lost}
		}
	}
	return head, err
}

// answer reads the head of the answer, which may have others before it that say
// that it will come.
func (c *Client) answer(buffer []byte) (Head, error) {
	n, begin := 0, 0
	for range informational + 1 {
		end := headEnd(buffer[begin:n], 0)
		for end == 0 {
			if n == len(buffer) {
				return Head{}, &UnusualError{fmt.Sprintf("headers of more than %d bytes", len(buffer))}
			}
			m, err := c.conn.Read(buffer[n:])
			if err != nil {
				if n == 0 {
					return Head{}, staleError{err}
				}
				if errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				return Head{}, fmt.Errorf("read the headers: %w", err)
			}
			end = headEnd(buffer[begin:n+m], n-begin)
			n += m
		}
		head, framing, err := parseHead(buffer[begin : begin+end])
		begin += end
		if err != nil {
			return head, err
		}
		if head.Status >= 200 {
			c.body = body{kind: framing, ahead: buffer[begin:n]}
			return head, nil
		}
	}
	return Head{}, &UnusualError{fmt.Sprintf("more than %d informational ones before it", informational)}
}

// connect dials if there is no connection of use, and begins the exchange.
func (c *Client) connect(ctx context.Context, deadline time.Time) error {
	if c.conn != nil && (time.Since(c.conn.idleSince) > idleLimit || !c.conn.disarm() || !c.conn.quiet()) {
		c.drop() // interrupted or closed since, or the server says what nobody asked
	}
	if c.conn == nil {
		d := c.dialer
		d.Deadline = deadline
		made, err := dial(ctx, d, c.address)
		if err != nil {
			return err
		}
		c.conn = made
	}
	c.conn.deadline = deadline
	c.conn.watch(ctx)
	return nil
}

// Read reads the body of the answer whose head Do gave, and ends with io.EOF.
// A body that ends before its time is io.ErrUnexpectedEOF. p should be large:
// it is filled from the socket.
func (c *Client) Read(p []byte) (int, error) {
	if c.conn == nil {
		return 0, io.EOF
	}
	n, err := c.body.read(c.conn, p)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF) && c.body.keep:
		c.rest()
	default:
		c.drop()
	}
	return n, err
}

// rest keeps the connection for the next request.
func (c *Client) rest() {
	if !c.conn.disarm() {
		c.drop()
		return
	}
	c.conn.served, c.conn.idleSince = true, time.Now()
}

// Discard gives up the rest of an answer, and with it the connection.
func (c *Client) Discard() {
	if c.conn != nil && !c.body.over {
		c.drop()
	}
}

// drop closes the connection.
func (c *Client) drop() {
	if c.conn != nil {
		c.conn.watch(context.Background())
		_ = c.conn.Close() // nothing is waiting to be written
		c.conn = nil
	}
}

// CloseIdle closes the connection. It must not be called while another method
// runs.
func (c *Client) CloseIdle() { c.drop() }
