package remotewrite

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinglet/writer/queue"
)

// wireTap is an endpoint that keeps the heads of requests as they came.
type wireTap struct {
	url    string
	answer func(request int) string

	mu    sync.Mutex
	heads []string
	conns int
}

func tap(t *testing.T, answer func(request int) string) *wireTap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wireTap{url: "http://" + l.Addr().String(), answer: answer}
	var talks sync.WaitGroup
	talks.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			w.mu.Lock()
			w.conns++
			w.mu.Unlock()
			talks.Go(func() { w.talk(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); talks.Wait() })
	return w
}

func (w *wireTap) talk(conn net.Conn) {
	defer conn.Close()
	for r := bufio.NewReader(conn); ; {
		head, length := "", int64(0)
		for !strings.HasSuffix(head, "\r\n\r\n") {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			head += line
			_, _ = fmt.Sscanf(line, "Content-Length: %d", &length) // another line leaves it alone
		}
		if _, err := io.CopyN(io.Discard, r, length); err != nil {
			return
		}
		w.mu.Lock()
		w.heads = append(w.heads, head)
		answer := w.answer(len(w.heads) - 1)
		w.mu.Unlock()
		if _, err := io.WriteString(conn, answer); err != nil || answer == "" {
			return
		}
	}
}

func (w *wireTap) client(t *testing.T, edit func(*Config)) *Client {
	t.Helper()
	cfg := configFor(w.url + "/api/v1/write?x=y%20z")
	edit(&cfg)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	doer, err := NewHTTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(doer.Forget)
	return NewClient(cfg, doer, "kinglet/1.2.3")
}

// full makes c use net/http alone.
func full(t *testing.T, c *Client) *Client {
	t.Helper()
	w, ok := c.http.(*wire)
	if !ok || w.lean == nil {
		t.Fatal("the lean way is not for this endpoint")
	}
	alone := *c
	alone.http = w.Client
	return &alone
}

func withUser(cfg *Config) { cfg.URL = strings.Replace(cfg.URL, "://", "://user:p%40ss@", 1) }

func TestTheLeanWaySendsWhatNetHTTPDoes(t *testing.T) {
	body := NewBody(newEncoder(100).Encode(manyRow(80, 0)))
	for _, tt := range []struct {
		name    string
		edit    func(*Config)
		form    form
		attempt int
	}{
		{"nothing configured", func(*Config) {}, formPlain, 0},
		{"a retry", func(*Config) {}, formPlain, 3},
		{"2.0", func(*Config) {}, formMessage2, 0},
		{"zstd", func(*Config) {}, formZstd, 0},
		{"basic", func(c *Config) { c.User, c.Pass = "me", "secret" }, formPlain, 0},
		{"bearer", func(c *Config) { c.BearerToken = "secret" }, formPlain, 1},
		{"a user in the URL", withUser, formPlain, 0},
		{"a user in the URL and a token", func(c *Config) { withUser(c); c.BearerToken = "t" }, formPlain, 0},
		{"headers", func(c *Config) {
			c.Headers = []string{"host", "else.where:81", "x-a", "1", "X-A", "2"}
		}, formPlain, 2},
		{"a header without a value, one beyond ASCII", func(c *Config) { c.Headers = []string{"X-A", "", "X-B", "grüße"} }, formPlain, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := tap(t, func(int) string { return "HTTP/1.1 204 No Content\r\n\r\n" })
			b := body
			b.form = tt.form
			c := w.client(t, tt.edit)
			for _, way := range []*Client{c, c, full(t, c)} {
				if _, err := way.Post(t.Context(), b, tt.attempt); err != nil {
					t.Fatal(err)
				}
			}
			for i := range w.heads {
				lines := strings.Split(w.heads[i], "\r\n")
				slices.Sort(lines[1:])
				w.heads[i] = strings.Join(lines, "\n")
			}
			if w.conns != 2 || w.heads[0] != w.heads[1] {
				t.Errorf("%d connections; the heads of two requests:\n%s\n%s", w.conns, w.heads[0], w.heads[1])
			}
			if diff := cmp.Diff(w.heads[2], w.heads[0]); diff != "" {
				t.Errorf("net/http does otherwise:\n%s", diff)
			}
		})
	}
}

func TestTheLeanWayIsForPlainHTTPAlone(t *testing.T) {
	for address, lean := range map[string]bool{
		"http://host/x": true, "http://[::1]:9/x": true, "https://host/x": false, "ftp://host/x": false,
		"http://h\u00f6st/x": false, "://": false, "http:///x": false,
	} {
		cfg := configFor(address)
		client, err := NewHTTP(cfg)
		if err != nil {
			t.Fatal(err)
		}
		w, ok := client.(*wire)
		if !ok || w.lean.usable() != lean {
			t.Errorf("%s: lean is %v", address, !lean)
		}
	}
	cfg := configFor("http://host/x")
	cfg.ProxyURL = "http://proxy:1"
	if client, err := NewHTTP(cfg); err != nil || client.(*wire).lean.usable() { //nolint:errcheck,errorlint // NewHTTP makes no other
		t.Error("a proxy is passed by")
	}
}

// What is asked for by a header that HTTP forbids, net/http refuses.
func TestAForbiddenHeaderIsNotSent(t *testing.T) {
	w := tap(t, func(int) string { return "HTTP/1.1 204 No Content\r\n\r\n" })
	c := w.client(t, func(c *Config) { c.Headers = []string{"X-A", "a\x01b"} })
	_, err := c.Post(t.Context(), NewBody(nil), 0)
	if err == nil || len(w.heads) > 0 {
		t.Errorf("error %v, %d requests", err, len(w.heads))
	}
}

func TestAnAnswerThatIsOddGoesToNetHTTPFromThenOn(t *testing.T) {
	w := tap(t, func(int) string { return "HTTP/1.1 200 OK\r\nFolded: a\r\n b\r\nContent-Length: 0\r\n\r\n" })
	c := w.client(t, func(*Config) {})
	for range 3 {
		if answer, err := c.Post(t.Context(), NewBody(nil), 0); err != nil || answer.Status != 200 {
			t.Fatalf("status %d, %v", answer.Status, err)
		}
	}
	if len(w.heads) != 4 {
		t.Errorf("%d requests for three posts, want the first one twice", len(w.heads))
	}
}

func TestBothWaysTellTheSame(t *testing.T) {
	for _, tt := range []struct {
		name, answer, want string
		answered           Answer
	}{
		{"taken", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Prometheus-Remote-Write-Samples-Written: 7\r\n\r\nok", "", Answer{Status: 200, Written: Written{Told: true, Samples: 7}}},
		{"chunks", "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n bad\r\n0\r\n\r\n", "endpoint answered 400: bad", Answer{Status: 400}},
		{"no text", "HTTP/1.1 503 Whatever\r\nContent-Length: 0\r\n\r\n", "endpoint answered 503 Service Unavailable", Answer{Status: 503}},
		{"until the end", "HTTP/1.0 500 x\r\n\r\nold server", "endpoint answered 500: old server", Answer{Status: 500}},
		{"informational", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 x\r\n\r\n", "", Answer{Status: 204}},
		{"redirect", "HTTP/1.1 307 x\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", "endpoint answered 307 Temporary Redirect", Answer{Status: 307}},
		{"no answer", "", "post 1 bytes: EOF", Answer{}},
		{"cut short", "HTTP/1.1 200 OK\r\nContent-Le", "post 1 bytes: ", Answer{}},
		{"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", `post 1 bytes: net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-OpenSSH_9.2"`, Answer{}},
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "post 1 bytes: status 101 Switching Protocols: want an answer in HTTP; is this the right URL?", Answer{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			closes := strings.HasPrefix(tt.answer, "HTTP/1.0") || tt.answer == "" || tt.name == "cut short" || tt.name == "no HTTP"
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var done sync.WaitGroup
			done.Go(func() { sayAlways(l, tt.answer, closes) })
			defer done.Wait()
			defer l.Close()
			c := (&wireTap{url: "http://" + l.Addr().String()}).client(t, func(c *Config) { c.TimeoutMs = 2000 })
			for name, way := range map[string]*Client{"lean": c, "full": full(t, c)} {
				answer, err := way.Post(t.Context(), NewBody(nil), 0)
				if diff := cmp.Diff(tt.answered, answer); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
				if text := fmt.Sprint(err); tt.want != "" && !strings.HasPrefix(text, tt.want) || tt.want == "" && err != nil {
					t.Errorf("%s: %v\nwant %s", name, err, tt.want)
				}
				way.http.Forget()
			}
		})
	}
}

// sayAlways answers every request in the same way.
func sayAlways(l net.Listener, answer string, closes bool) {
	var talks sync.WaitGroup
	defer talks.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		talks.Go(func() {
			defer conn.Close()
			for r := bufio.NewReader(conn); ; {
				request, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, request.Body) // what is cut off shows in the answer
				if _, err := io.WriteString(conn, answer); err != nil || closes {
					return
				}
			}
		})
	}
}

func TestATimeoutIsTold(t *testing.T) {
	srv := newServer(t, hang, hang)
	w := &wireTap{url: srv.URL}
	c := w.client(t, func(c *Config) { c.TimeoutMs = 50 })
	for _, way := range []*Client{c, full(t, c)} {
		if _, err := way.Post(t.Context(), NewBody(nil), 0); fmt.Sprint(err) != "post 1 bytes: no answer within 50ms (timeout)" {
			t.Error(err)
		}
	}
}

func TestAnEndpointThatIsDownIsTold(t *testing.T) {
	w := &wireTap{url: "http://127.0.0.1:1"}
	c := w.client(t, func(*Config) {})
	for _, way := range []*Client{c, full(t, c)} {
		if _, err := way.Post(t.Context(), NewBody(nil), 0); fmt.Sprint(err) != "post 1 bytes: dial tcp 127.0.0.1:1: connect: connection refused" {
			t.Error(err)
		}
	}
}

// Several writers share the blocks: what a request costs in memory does not
// depend on how large the blocks are.
func TestARequestCopiesNoBlock(t *testing.T) {
	w := tap(t, func(int) string { return "HTTP/1.1 204 No Content\r\n\r\n" })
	c := w.client(t, func(*Config) {})
	for _, size := range []int{100, 1 << 20} {
		blocks := []queue.Block{{Stream: make([]byte, size), RawLen: size, Samples: 1}}
		post := func() {
			if _, err := c.Post(t.Context(), NewBody(blocks), 0); err != nil {
				t.Fatal(err)
			}
		}
		post()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 20 {
			post()
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / 20; each > 32<<10 { // the endpoint of the test included
			t.Errorf("a request of %d bytes takes %d bytes of memory", size, each)
		}
	}
}
