package httpclient

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// switcher answers 101 to every request and keeps the connection until the
// other side closes it. It counts the connections that were closed.
func switcher(t *testing.T) (url string, closed <-chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{}, 16)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				request, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, request.Body)
				_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
				_, _ = io.Copy(io.Discard, conn)
				gone <- struct{}{}
			})
		}
	})
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	return "http://" + listener.Addr().String(), gone
}

func TestAnAnswerThatSwitchesProtocolsIsAnError(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		url, closed := switcher(t)
		c, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err == nil {
			resp.Body.Close()
			t.Fatalf("%s: status %d and no error", method, resp.StatusCode)
		}
		if want := "status 101 Switching Protocols: want an answer in HTTP; is this the right URL?"; err.Error() != want {
			t.Errorf("%s: %v", method, err)
		}
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the connection stays open", method)
		}
	}
}
