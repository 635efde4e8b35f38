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

// newLean is the lean client of a target that needs no more: plain HTTP on
// this node, without credentials, headers of its own or a proxy. Else nil.
func newLean(t *Target, req *http.Request) *leanhttp.Client {
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
	return leanhttp.New(address, text.Bytes())
}

// fetchLean is fetch with the lean client. An *leanhttp.UnusualError says that
// nothing was read and net/http is to ask again.
func (f *fetcher) fetchLean(ctx context.Context, w *walk) (bodyBytes int64, err error) {
	deadline := time.Now().Add(f.target.Timeout)
	pooled := f.window()
	defer f.windows.Put(pooled)
	defer context.AfterFunc(ctx, f.lean.Interrupt)()
	defer f.lean.Discard()
	head, err := f.lean.Get(ctx, deadline, *pooled)
	if err != nil {
		return 0, f.explain(timedOut(err), err, waiting)
	}
	if head.Status != http.StatusOK {
		if head.Gzip {
			return 0, &StatusError{Code: head.Status} // which says enough
		}
		return 0, badStatus(head.Status, f.lean)
	}
	body, err := f.body(f.lean, head.Gzip)
	if err != nil {
		return 0, f.explain(timedOut(err), err, "reading the body")
	}
	window := *pooled
	if head.Gzip { // the first window still holds what is to be unzipped
		second := f.window()
		defer f.windows.Put(second)
		window = *second
	}
	err = f.page(head.ContentType, body, window, w)
	return body.read, f.explain(timedOut(err), err, "reading the body")
}

// timedOut reports whether the connection's deadline passed.
func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
