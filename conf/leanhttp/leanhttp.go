// Package leanhttp gets one plain-HTTP URL again and again over a connection
// that it keeps. It does for the usual page of a target on the same node what
// net/http does for everything, at a fraction of the cost: no goroutine, no
// buffer and no allocation of its own per request. It knows neither TLS,
// proxies nor redirects, and undoes no compression; an answer that needs more
// than it knows is an UnusualError, and net/http's.
package leanhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Client gets one URL. It belongs to one goroutine, but for Interrupt.
type Client struct {
	address string
	request []byte
	dialer  net.Dialer

	mu    sync.Mutex // guards conn against Interrupt
	conn  net.Conn   // nil while there is none
	reuse bool       // conn has served a request before
	body  body
}

// New makes a client that dials address (host:port) and sends request, which
// is a whole GET request of HTTP/1.1 with its headers and the empty line.
func New(address string, request []byte) *Client {
	return &Client{address: address, request: request}
}

// An UnusualError says that an answer needs a fuller client. The connection is
// closed; the same request may be made with another client at once.
type UnusualError struct{ What string }

func (e *UnusualError) Error() string { return "answer with " + e.What }

// Head is the front of an answer.
type Head struct {
	Status      int
	Reason      string // behind the status, such as "Service Unavailable"; 200 has none
	ContentType string
	Length      int64 // bytes of body, -1 if not said
	Gzip        bool  // the body is compressed so, and left so
}

// HeadLimit is the most bytes of status line and headers.
const HeadLimit = 16 << 10

var errHeadTooLong = fmt.Errorf("the headers are longer than %d bytes", HeadLimit)

// Get sends the request and reads the head of the answer. buffer, of HeadLimit
// bytes at least, is scratch until Get returns, and keeps the beginning of the
// body after that: it must be left alone until Read has returned the first
// time. The deadline holds for dialing, writing, and all that is read, up to
// the end of the body. ctx ends dialing alone.
func (c *Client) Get(ctx context.Context, deadline time.Time, buffer []byte) (Head, error) {
	head, err := c.try(ctx, deadline, buffer)
	if err != nil && c.reuse && isGone(err) {
		// The server closed an idle connection, as servers do: not a failure.
		c.drop()
		head, err = c.try(ctx, deadline, buffer)
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
	var stale staleError
	var timeout net.Error
	return errors.As(err, &stale) && (!errors.As(err, &timeout) || !timeout.Timeout())
}

func (c *Client) try(ctx context.Context, deadline time.Time, buffer []byte) (Head, error) {
	if err := c.connect(ctx, deadline); err != nil {
		return Head{}, err
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return Head{}, staleError{fmt.Errorf("send the request: %w", err)}
	}
	n, end := 0, 0
	for end == 0 {
		if n == HeadLimit {
			return Head{}, errHeadTooLong
		}
		m, err := c.conn.Read(buffer[n:HeadLimit])
		if m == 0 && err != nil {
			if errors.Is(err, io.EOF) && n > 0 {
				err = io.ErrUnexpectedEOF
			}
			err = fmt.Errorf("read the headers: %w", err)
			if n == 0 {
				err = staleError{err}
			}
			return Head{}, err
		}
		end = headEnd(buffer[:n+m], n)
		n += m
	}
	head, kind, err := parseHead(buffer[:end])
	if err != nil {
		return head, err
	}
	c.body = body{framing: kind.framing, left: kind.left, keep: kind.keep, ahead: buffer[end:n]}
	return head, nil
}

// connect dials if there is no connection, and sets its deadline.
func (c *Client) connect(ctx context.Context, deadline time.Time) error {
	if c.conn != nil {
		c.reuse = true
		return c.conn.SetDeadline(deadline)
	}
	c.reuse = false
	d := c.dialer
	d.Deadline = deadline
	conn, err := d.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.conn = conn
	c.mu.Unlock()
	return conn.SetDeadline(deadline)
}

// Read reads the body of the answer whose head Get gave, and ends with io.EOF.
// A body that ends before its time is io.ErrUnexpectedEOF. p should be large:
// it is filled from the socket.
func (c *Client) Read(p []byte) (int, error) {
	if c.conn == nil {
		return 0, io.EOF
	}
	n, err := c.body.read(c.conn, p)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF) && c.body.keep: // the next request may use the connection
	default:
		c.drop()
	}
	return n, err
}

// Discard gives up the rest of an answer, and with it the connection.
func (c *Client) Discard() {
	if c.conn != nil && !c.body.over {
		c.drop()
	}
}

// drop closes the connection.
func (c *Client) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close() // nothing is waiting to be written
		c.conn = nil
	}
}

// Interrupt makes a Get or Read that is waiting fail at once. It may be called
// from any goroutine.
func (c *Client) Interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.SetDeadline(time.Unix(1, 0)) // a closed connection has no need of it
	}
}

// CloseIdle closes the connection. It must not be called while Get or Read runs.
func (c *Client) CloseIdle() { c.drop() }
