package scrape

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"kinglet/conf/leanhttp"
)

// lean is the request of a target that needs no more than a lean client: plain
// HTTP on this node, without credentials, headers of its own or a proxy.
type lean struct {
	client  *leanhttp.Client
	request [][]byte
}

// newLean is nil for a target that it is not for.
func newLean(t *Target, req *http.Request) *lean {
	if req.URL.Scheme != "http" || req.Header.Get("Accept-Encoding") != "identity" || !t.Client.Bare() {
		return nil
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "GET %s HTTP/1.1\r\nHost: %s\r\n", req.URL.RequestURI(), req.URL.Host)
	if err := req.Header.Write(&text); err != nil {
		return nil // a buffer takes everything; net/http may see what is wrong
	}
	text.WriteString("\r\n")
	address := req.URL.Host
	if req.URL.Port() == "" {
		address = net.JoinHostPort(req.URL.Hostname(), "80")
	}
	return &lean{client: leanhttp.New(address, net.Dialer{}), request: [][]byte{text.Bytes()}}
}

// fetchLean is fetch with the lean client. An *leanhttp.UnusualError says that
// nothing was read and net/http is to ask again.
func (f *fetcher) fetchLean(ctx context.Context, w *walk) (bodyBytes int64, err error) {
	client := f.lean.client
	start := f.scratch.heads.get()
	defer f.scratch.heads.put(start)
	defer client.Discard()
	head, err := client.Do(ctx, time.Now().Add(f.target.Timeout), f.lean.request, start)
	if err != nil {
		return 0, f.explain(timedOut(err), err, waiting)
	}
	encoding := head.Field("content-encoding")
	gzipped := bytes.EqualFold(encoding, []byte("gzip"))
	if head.Status/100 == 3 || !gzipped && len(encoding) > 0 && !bytes.EqualFold(encoding, []byte("identity")) {
		return 0, &leanhttp.UnusualError{What: "a redirect or an unknown compression"}
	}
	if head.Status != http.StatusOK {
		if gzipped {
			return 0, &StatusError{Code: head.Status} // which says enough
		}
		return 0, f.target.badStatus(head.Status, client)
	}
	contentType := f.contentType
	if field := head.Field("content-type"); string(field) != contentType {
		contentType = string(field)
	}
	body, err := f.body(client, gzipped)
	if err != nil {
		return 0, f.explain(timedOut(err), err, "reading the body")
	}
	window := f.scratch.windows.get()
	defer f.scratch.windows.put(window)
	err = f.page(contentType, body, window, w)
	return body.read, f.explain(timedOut(err), err, "reading the body")
}

// timedOut reports whether the connection's deadline passed.
func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
