package leanhttp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// listen hands every connection to talk, one after the other.
func listen(t *testing.T, talk func(connection int, conn net.Conn, r *bufio.Reader)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for connection := 0; ; connection++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			talk(connection, conn, bufio.NewReader(conn))
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func post(size int, parts int) [][]byte {
	request := [][]byte{fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", size*parts)}
	for i := range parts {
		request = append(request, bytes.Repeat([]byte{'a' + byte(i%26)}, size), nil)
	}
	return request
}

func TestAnAnswerThatHasNoBodyKeepsTheConnection(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 204 No Content\nX: y\n\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	} {
		connections := 0
		c := New(serve(t, func(connection, _ int) string { connections = connection + 1; return answer }), net.Dialer{})
		for range 3 {
			if head, body, err := get(t, c); err != nil || body != "" || head.Status < 200 {
				t.Errorf("%.30q: status %d, %q, %v", answer, head.Status, body, err)
			}
		}
		c.CloseIdle()
		if connections != 1 {
			t.Errorf("%.30q: %d connections, want 1", answer, connections)
		}
	}
}

// A server that gives up an idle connection may say so, as a 408. That is no
// answer to the next request.
func TestWhatComesUnaskedOnAnIdleConnectionIsNoAnswer(t *testing.T) {
	say, said := make(chan bool, 1), make(chan bool, 1)
	address := listen(t, func(connection int, conn net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", connection)
		if connection == 0 {
			<-say
			io.WriteString(conn, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")
			said <- true
		}
	})
	c := New(address, net.Dialer{})
	defer c.CloseIdle()
	if _, body, err := get(t, c); err != nil || body != "0" {
		t.Fatalf("%q, %v", body, err)
	}
	say <- true
	<-said
	for deadline := time.Now().Add(5 * time.Second); c.conn.quiet() && time.Now().Before(deadline); { // until it has arrived
		if !canPeek {
			break
		}
	}
	head, body, err := get(t, c)
	if canPeek && (err != nil || head.Status != 200 || body != "1") {
		t.Errorf("status %d, %q, %v; want that of a new connection", head.Status, body, err)
	}
}

func TestALongRequestArrivesWhole(t *testing.T) {
	address := listen(t, func(_ int, conn net.Conn, r *bufio.Reader) {
		for {
			request, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			sum := 0
			for buffer := make([]byte, 1000); err == nil; {
				var n int
				n, err = request.Body.Read(buffer)
				for _, b := range buffer[:n] {
					sum += int(b)
				}
			}
			text := fmt.Sprint(sum)
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		}
	})
	c := New(address, net.Dialer{})
	defer c.CloseIdle()
	for range 2 {
		request := post(3001, 2600) // beyond the buffers of the sockets, and more parts than one call takes
		want := 0
		for i := range 2600 {
			want += 3001 * ('a' + i%26)
		}
		if _, err := c.Do(t.Context(), time.Now().Add(20*time.Second), request, make([]byte, HeadLimit)); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(c); err != nil || string(b) != fmt.Sprint(want) {
			t.Errorf("sum %s, %v; want %d", b, err, want)
		}
	}
}

// A server may refuse a request by its head, and leave the rest unread.
func TestAnAnswerBeforeTheEndOfTheRequestIsTaken(t *testing.T) {
	over := make(chan struct{})
	address := listen(t, func(connection int, conn net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\n\r\nbig")
		if connection == 0 {
			<-over
		}
	})
	c := New(address, net.Dialer{})
	defer c.CloseIdle()
	if !canPeek {
		t.Skip("this system cannot tell whether an answer has begun")
	}
	head, err := c.Do(t.Context(), time.Now().Add(20*time.Second), post(1<<20, 16), make([]byte, HeadLimit))
	if err != nil || head.Status != http.StatusRequestEntityTooLarge {
		t.Fatalf("status %d, %v", head.Status, err)
	}
	if b, err := io.ReadAll(c); err != nil || string(b) != "big" {
		t.Errorf("%q, %v", b, err)
	}
	if c.conn != nil {
		t.Error("a connection in the middle of a request is kept")
	}
	close(over)
}

func TestAServerThatDoesNotReadIsLeft(t *testing.T) {
	over := make(chan struct{})
	address := listen(t, func(int, net.Conn, *bufio.Reader) { <-over })
	defer close(over)
	c := New(address, net.Dialer{})
	_, err := c.Do(t.Context(), time.Now().Add(120*time.Millisecond), post(1<<20, 16), make([]byte, HeadLimit))
	if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
		t.Errorf("error %v, want a timeout", err)
	}
	over <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err = c.Do(ctx, start.Add(time.Hour), post(1<<20, 16), make([]byte, HeadLimit)); err == nil || time.Since(start) > time.Minute {
		t.Errorf("error %v after %v, want the end of the context", err, time.Since(start))
	}
}

func TestAContextThatEndsBetweenExchangesEndsNone(t *testing.T) {
	c := New(serve(t, func(int, int) string { return "HTTP/1.1 204 No Content\r\n\r\n" }), net.Dialer{})
	defer c.CloseIdle()
	ctx, cancel := context.WithCancel(t.Context())
	for range 3 {
		if _, err := c.Do(ctx, time.Now().Add(time.Minute), getParts(), make([]byte, HeadLimit)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	for c.conn.disarm() { // until the end of the context has arrived
	}
	if _, _, err := get(t, c); err != nil {
		t.Error(err)
	}
}

// A server that always has more to say never lets a read wait.
func TestAnEndlessAnswerMeetsItsDeadline(t *testing.T) {
	address := listen(t, func(_ int, conn net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		for text := []byte(strings.Repeat("x", 1<<16)); ; {
			if _, err := conn.Write(text); err != nil {
				return
			}
		}
	})
	c := New(address, net.Dialer{})
	if _, err := c.Do(t.Context(), time.Now().Add(100*time.Millisecond), getParts(), make([]byte, HeadLimit)); err != nil {
		t.Fatal(err)
	}
	_, err := io.Copy(io.Discard, c)
	if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
		t.Errorf("error %v, want a timeout", err)
	}
}

// The server of this test allocates nothing either.
func TestAnExchangeAllocatesNothing(t *testing.T) {
	if !canPeek {
		t.Skip("reading as net does allocates")
	}
	address := listen(t, func(_ int, conn net.Conn, _ *bufio.Reader) {
		page := bytes.Repeat([]byte("metric 1\n"), 10_000)
		answer := append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", len(page)), page...)
		for buffer := make([]byte, 4<<10); ; {
			if _, err := conn.Read(buffer); err != nil {
				return
			}
			if _, err := conn.Write(answer); err != nil {
				return
			}
		}
	})
	c := New(address, net.Dialer{})
	defer c.CloseIdle()
	buffer, request := make([]byte, 16<<10), getParts()
	allocations := testing.AllocsPerRun(100, func() {
		head, err := c.Do(context.Background(), time.Now().Add(time.Minute), request, buffer)
		if err != nil || len(head.Field("content-type")) == 0 {
			t.Fatal(err)
		}
		for err == nil {
			_, err = c.Read(buffer)
		}
	})
	if allocations > 0 {
		t.Errorf("%v allocations in an exchange, want none", allocations)
	}
}
