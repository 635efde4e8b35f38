//go:build e2e

package rules

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

// target serves a script of pages and remembers who asked.
type target struct {
	server  *httptest.Server
	pages   []Page
	started time.Time

	mu      sync.Mutex
	scrapes []Scrape
	running int
	overlap bool
}

// Scrape is one request that a target saw.
type Scrape struct {
	At     time.Time
	Method string
	URI    string
	Header http.Header
	NowMs  int64 // what Page.Make was told
}

func newTarget(pages []Page) *target {
	tg := &target{pages: pages, started: time.Now()}
	tg.server = httptest.NewServer(tg)
	return tg
}

func (tg *target) host() string { return strings.TrimPrefix(tg.server.URL, "http://") }

func (tg *target) seen() []Scrape {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	return append([]Scrape(nil), tg.scrapes...)
}

// admit notes a scrape and picks its page.
func (tg *target) admit(r *http.Request) (n int, nowMs int64, page Page) {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	n = len(tg.scrapes)
	nowMs = time.Now().UnixMilli()
	tg.scrapes = append(tg.scrapes, Scrape{time.Now(), r.Method, r.URL.RequestURI(), r.Header.Clone(), nowMs})
	tg.running++
	tg.overlap = tg.overlap || tg.running > 1
	if len(tg.pages) > 0 {
		page = tg.pages[min(n, len(tg.pages)-1)]
	}
	return n, nowMs, page
}

func (tg *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/moved/"); ok { // the second leg of a redirect is no scrape of its own
		n, _ := strconv.Atoi(rest)
		page := tg.pages[min(n, len(tg.pages)-1)]
		page.Redirect = ""
		page.serve(w, r, n, time.Now().UnixMilli())
		return
	}
	n, now, page := tg.admit(r)
	defer func() {
		tg.mu.Lock()
		tg.running--
		tg.mu.Unlock()
	}()
	page.serve(w, r, n, now)
}

func (p Page) serve(w http.ResponseWriter, r *http.Request, n int, nowMs int64) {
	if !pause(r, p.Wait) || p.Hang && !pause(r, time.Hour) {
		return
	}
	if p.Reset {
		hijackAndBreak(w, "HTTP/1.1 200 OK\r\nContent-Ty")
		return
	}
	if p.Redirect != "" {
		http.Redirect(w, r, p.Redirect+strconv.Itoa(n), http.StatusFound)
		return
	}
	body := p.Body
	if p.Make != nil {
		body = p.Make(n, nowMs)
	}
	switch p.Type {
	case "":
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	case "-":
		w.Header()["Content-Type"] = nil
	default:
		w.Header().Set("Content-Type", p.Type)
	}
	for k, v := range p.Header {
		w.Header().Set(k, v)
	}
	out := io.Writer(w)
	if p.Gzip {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		out = z
	}
	if p.Cut {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+1000))
	}
	w.WriteHeader(max(p.Status, 200*b2i(p.Status == 0)))
	_, err := io.WriteString(out, body)
	for err == nil && p.Endless {
		_, err = io.WriteString(out, body)
	}
	for err == nil && p.Dribble {
		if _, err = io.WriteString(out, "#"); err == nil {
			http.NewResponseController(w).Flush()
			if !pause(r, 100*time.Millisecond) {
				return
			}
		}
	}
}

// pause waits for d; false means the client went away before.
func pause(r *http.Request, d time.Duration) bool {
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
		return false
	case <-timer.C:
		return true
	}
}

// hijackAndBreak writes a few raw bytes and closes the connection. Nothing
// written at all would make a client try again by itself.
func hijackAndBreak(w http.ResponseWriter, raw string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, raw) // the break is the point
	_ = conn.Close()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
