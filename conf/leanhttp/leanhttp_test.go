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
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const getRequest = "GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n"

// get makes one request and reads the whole answer.
func get(t *testing.T, c *Client) (Head, string, error) {
	t.Helper()
	head, err := do(t, c, 5*time.Second)
	if err != nil {
		return head, "", err
	}
	b, err := io.ReadAll(c)
	return head, string(b), err
}

func do(t *testing.T, c *Client, timeout time.Duration) (Head, error) {
	return c.Do(t.Context(), time.Now().Add(timeout), getParts(), make([]byte, HeadLimit))
}

func getParts() [][]byte { return [][]byte{[]byte(getRequest)} }

// serve answers every connection with what answer gives for its requests, in
// order; an empty answer closes the connection.
func serve(t *testing.T, answer func(connection, request int) string) (address string) {
	t.Helper()
	return listen(t, func(connection int, conn net.Conn, r *bufio.Reader) {
		for request := 0; ; request++ {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			text := answer(connection, request)
			if _, err := io.WriteString(conn, text); err != nil || text == "" || strings.Contains(text, "Connection: close") {
				return
			}
		}
	})
}

func TestAnswersOfARealServer(t *testing.T) {
	long := strings.Repeat("metric{a=\"b\"} 1\n", 20000)
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		status  int
		body    string
	}{
		{"length", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			io.WriteString(w, long)
		}, 200, long},
		{"chunks", func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(long); i += 7777 {
				io.WriteString(w, long[i:min(i+7777, len(long))])
				w.(http.Flusher).Flush()
			}
		}, 200, long},
		{"empty", func(http.ResponseWriter, *http.Request) {}, 200, ""},
		{"trailers", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, "a 1\n")
			w.(http.Flusher).Flush()
			w.Header().Set("X-Sum", "1")
		}, 200, "a 1\n"},
		{"not found", http.NotFound, 404, "404 page not found\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			connections := 0
			s := httptest.NewUnstartedServer(tt.handler)
			s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					connections++
				}
			}
			s.Start()
			defer s.Close()
			c := New(s.Listener.Addr().String(), net.Dialer{})
			defer c.CloseIdle()
			for range 3 {
				head, body, err := get(t, c)
				if err != nil || head.Status != tt.status || body != tt.body {
					t.Fatalf("status %d, %d bytes, error %v; want %d, %d bytes", head.Status, len(body), err, tt.status, len(tt.body))
				}
			}
			c.CloseIdle()
			s.Close()
			if connections != 1 {
				t.Errorf("%d connections for three requests, want 1", connections)
			}
		})
	}
}

func TestConnectionClosedWhileIdleIsDialedAgain(t *testing.T) {
	address := serve(t, func(connection, request int) string {
		if request > 0 {
			return "" // closes without an answer
		}
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", connection)
	})
	c := New(address, net.Dialer{})
	defer c.CloseIdle()
	for want := range 3 {
		_, body, err := get(t, c)
		if err != nil || body != fmt.Sprint(want) {
			t.Fatalf("request %d: %q, %v", want, body, err)
		}
	}
}

func TestServerThatNeverAnswersIsAskedOnce(t *testing.T) {
	asked := make(chan int, 10)
	address := serve(t, func(connection, _ int) string { asked <- connection; return "" })
	c := New(address, net.Dialer{})
	if _, _, err := get(t, c); !errors.Is(err, io.EOF) {
		t.Errorf("error %v, want the end", err)
	}
	if len(asked) != 1 {
		t.Errorf("asked %d times, want once: the connection was new", len(asked))
	}
}

func TestAnswersThatAreNotUsual(t *testing.T) {
	for _, tt := range []struct{ name, answer, want string }{
		{"switching protocols", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "status 101"},
		{"many informational", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 6), "informational"},
		{"endless headers", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", HeadLimit), "headers of more than 16384 bytes"},
		{"another protocol", "SSH-2.0-OpenSSH_9.2 hello\r\n\r\n", "status line"},
		{"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", "status line"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "Content-Length"},
		{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "Content-Length"},
		{"odd encoding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: br, chunked\r\n\r\n", "Transfer-Encoding"},
		{"folded header", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "header line"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := New(serve(t, func(int, int) string { return tt.answer }), net.Dialer{})
			defer c.CloseIdle()
			_, _, err := get(t, c)
			var unusual *UnusualError
			if !errors.As(err, &unusual) || !strings.Contains(unusual.What, tt.want) {
				t.Errorf("error %v, want an UnusualError about %q", err, tt.want)
			}
		})
	}
}

func TestBadServers(t *testing.T) {
	for _, tt := range []struct {
		name, answer, body string
		want               error
	}{
		{"truncated", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nabc", "abc", io.ErrUnexpectedEOF},
		{"truncated chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n9\r\nabc", "abc", io.ErrUnexpectedEOF},
		{"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n", "abc", io.ErrUnexpectedEOF},
		{"bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef", "abc", errChunk},
		{"huge chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n", "", errChunk},
		{"until the end", "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nabc", "abc", nil},
		{"bare newlines in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", "abc", nil},
		{"chunk extension", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n", "abc", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := New(serve(t, func(int, int) string { return tt.answer }), net.Dialer{})
			defer c.CloseIdle()
			_, body, err := get(t, c)
			if body != tt.body || !errors.Is(err, tt.want) {
				t.Errorf("%q, error %v; want %q, %v", body, err, tt.body, tt.want)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		c := New("127.0.0.1:1", net.Dialer{})
		if _, _, err := get(t, c); err == nil {
			t.Error("no error")
		}
	})
}

func TestMoreThanAnnouncedEndsTheConnection(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%dHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nX",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n%d\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nX",
	} {
		c := New(serve(t, func(connection, _ int) string { return fmt.Sprintf(answer, connection) }), net.Dialer{})
		for want := range 2 {
			if _, body, err := get(t, c); err != nil || body != fmt.Sprint(want) {
				t.Errorf("request %d: %q, %v: what came unasked was taken for an answer", want, body, err)
			}
		}
		c.CloseIdle()
	}
}

func TestDeadlineAndContextEndAWait(t *testing.T) {
	waiting := make(chan struct{}, 4)
	hang := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		waiting <- struct{}{}
		<-r.Context().Done()
	}))
	defer hang.Close()
	c := New(hang.Listener.Addr().String(), net.Dialer{})
	if _, err := do(t, c, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := io.ReadAll(c); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("error %v, want a timeout", err)
	}

	<-waiting
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := c.Do(ctx, time.Now().Add(time.Hour), getParts(), make([]byte, HeadLimit)); err != nil {
		t.Fatal(err)
	}
	<-waiting
	cancel()
	if _, err := io.ReadAll(c); err == nil {
		t.Error("an interrupted read ends without an error")
	}
	c.CloseIdle()
}

// FuzzBody compares with net/http, however the bytes of the answer are cut.
func FuzzBody(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), byte(1))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: 1\r\n\r\n"), byte(3))
	f.Add([]byte("HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\nabc"), byte(0))
	f.Fuzz(func(t *testing.T, answer []byte, cut byte) {
		end := headEnd(answer, 0)
		if end == 0 {
			return
		}
		head, k, err := parseHead(answer[:end])
		if err != nil {
			return // refusing is fine: net/http gets it
		}
		response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
		if err != nil {
			return // we may be more lenient, as about bytes in names of headers
		}
		defer response.Body.Close()
		want, wantErr := io.ReadAll(response.Body)
		ahead := min(int(cut), len(answer)-end)
		b := body{kind: k, ahead: answer[end : end+ahead]}
		r := iotest.HalfReader(bytes.NewReader(answer[end+ahead:]))
		if cut%2 == 1 {
			r = iotest.OneByteReader(r)
		}
		got, gotErr := io.ReadAll(readerFunc(func(p []byte) (int, error) { return b.read(r, p) }))
		if head.Status != response.StatusCode {
			t.Fatalf("status %d, want %d", head.Status, response.StatusCode)
		}
		if wantErr == nil && (gotErr != nil || !bytes.Equal(got, want)) {
			t.Fatalf("%q, %v; net/http reads %q", got, gotErr, want)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func BenchmarkGet(b *testing.B) {
	page := bytes.Repeat([]byte("metric{label=\"value\",other=\"another value\"} 12345\n"), 300)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(page)))
		w.Write(page)
	}))
	defer s.Close()
	b.Run("lean", func(b *testing.B) {
		c := New(s.Listener.Addr().String(), net.Dialer{})
		defer c.CloseIdle()
		buffer, request := make([]byte, 64<<10), getParts()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Do(b.Context(), time.Now().Add(time.Second), request, buffer); err != nil {
				b.Fatal(err)
			}
			for {
				if _, err := c.Read(buffer); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("net/http", func(b *testing.B) {
		client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
		defer client.CloseIdleConnections()
		buffer := make([]byte, 64<<10)
		b.ReportAllocs()
		for b.Loop() {
			ctx, cancel := context.WithTimeout(b.Context(), time.Second)
			r, _ := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
			response, err := client.Do(r)
			if err != nil {
				b.Fatal(err)
			}
			for {
				if _, err := response.Body.Read(buffer); err == io.EOF {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
			response.Body.Close()
			cancel()
		}
	})
}

func TestFieldsAreToldAsTheyCame(t *testing.T) {
	c := New(serve(t, func(int, int) string {
		return "HTTP/1.1 200 OK\r\nContent-Encoding: GZIP\r\nX: 1\r\nx:2\nContent-Length: 3\r\n\r\nabc"
	}), net.Dialer{})
	defer c.CloseIdle()
	head, body, err := get(t, c)
	if err != nil || body != "abc" {
		t.Errorf("%q, %v", body, err)
	}
	for name, want := range map[string]string{"content-encoding": "GZIP", "x": "1", "y": ""} {
		if got := string(head.Field(name)); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
