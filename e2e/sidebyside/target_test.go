//go:build e2e

package sidebyside

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// target is one scripted target. Every side has its own address for it and
// sees the script from its beginning.
type target struct {
	name  string
	job   job // targets of one job repeat it
	page  func(s *request) page
	after map[int]step // what happens once request k was served

	joins bool // not there from the beginning
	least int  // scrapes that must have been seen; 0 = rounds
}

func (tg *target) wantRounds() int {
	if tg.least > 0 {
		return tg.least
	}
	return rounds
}

// step is something that a request sets off, for the side that made it.
type step struct {
	delay      time.Duration
	add        string        // a target that the side's configuration gains
	remove     string        // one that it loses
	refuseFor  time.Duration // nothing listens at this target's address for so long
	thenAdd    string        // gained thenDelay after the rest
	thenRemove string
	thenDelay  time.Duration
}

// page is the answer to one request.
type page struct {
	body   string
	kind   string // Content-Type; "" = text/plain; version=0.0.4, "-" = none
	status int    // 0 = 200

	wait     time.Duration // before answering
	hang     bool          // never answers
	stall    bool          // sends the body, but never its end
	cut      bool          // promises more bytes than it sends
	garble   bool          // breaks the connection in the middle of the headers
	gzip     bool          // body and Content-Encoding
	raw      bool          // says Content-Encoding: gzip of a body that is as it is
	redirect bool          // 302 to a path that answers with body
}

const (
	openMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8"
	protobufType    = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)

// request is one request as a script sees it.
type request struct {
	K      int // requests of this side to this target, from 0
	at     *endpoint
	ms     int64
	before int64 // ms of the request before
	start  int64 // when the process behind the target began, in ms
	repeat bool  // the client asks again, so that this is the page of the request before
}

// lifetime is how many requests a target's process serves before it begins
// anew, where a script says so.
const lifetime = 20

// life counts requests since the process began.
func (r *request) life() int { return r.K % lifetime }

// stampBefore is the stamp that the request before had with that offset.
func (r *request) stampBefore(offsetMs int64) int64 { return r.before + offsetMs }

// stamp is the time of this request, cut to a quarter of a second so that
// seconds in floating point are exact, plus offsetMs (below 0), in ms since
// the epoch. It is noted, so that the database's samples are known by it.
func (r *request) stamp(offsetMs int64) int64 {
	t := r.ms + offsetMs
	r.at.mu.Lock()
	defer r.at.mu.Unlock()
	if _, taken := r.at.stamps[t]; !taken {
		r.at.stamps[t] = moment{Round: r.K, Stamp: fmt.Sprintf("%+dms", offsetMs)}
	}
	return t
}

// stampSeconds is stamp as OpenMetrics writes it.
func (r *request) stampSeconds(offsetMs int64) string {
	return seconds(r.stamp(offsetMs))
}

// seconds is a time in ms as OpenMetrics writes it.
func seconds(ms int64) string { return fmt.Sprintf("%d.%03d", ms/1000, ms%1000) }

// endpoint is a target at the address that one side has for it.
type endpoint struct {
	target  *target
	address string
	side    *side

	mu       sync.Mutex
	server   *http.Server
	requests int
	repeats  int
	last     time.Time
	lastRq   request
	lastMs   int64
	startMs  int64
	stamps   map[int64]moment
	starts   map[int64]moment
	closed   bool
}

func newEndpoint(tg *target, s *side) (*endpoint, error) {
	e := &endpoint{target: tg, side: s, stamps: map[int64]moment{}, starts: map[int64]moment{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e.address = l.Addr().String()
	e.serve(l)
	return e, nil
}

func (e *endpoint) serve(l net.Listener) {
	server := &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}
	e.mu.Lock()
	e.server = server
	e.mu.Unlock()
	go func() { _ = server.Serve(l) }() // ends with Close
}

func (e *endpoint) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	_ = e.server.Close() // the connections of a test are of no more use
}

// refuse leaves the address without a listener for d.
func (e *endpoint) refuse(d time.Duration) {
	e.mu.Lock()
	_ = e.server.Close() // that is the point
	e.mu.Unlock()
	time.AfterFunc(d, func() {
		e.mu.Lock()
		closed := e.closed
		e.mu.Unlock()
		if closed {
			return
		}
		l, err := net.Listen("tcp", e.address)
		if err != nil {
			e.side.fault("listen again at %s of %s: %v", e.address, e.target.name, err)
			return
		}
		e.serve(l)
	})
}

func (e *endpoint) served() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.requests
}

// again is how soon after a request another one is of the same scrape: a client
// that does not get along with an answer may ask in another way.
const again = 100 * time.Millisecond

// next counts a request.
func (e *endpoint) next() *request {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.last
	e.last = time.Now()
	if e.last.Sub(before) < again {
		e.repeats++
		r := e.lastRq
		r.repeat = true
		return &r
	}
	now := e.last.UnixMilli()
	now -= now % 250
	// Two scrapes may stand close together at a start; stamps never do.
	r := &request{K: e.requests, at: e, ms: max(now, e.lastMs+750), before: e.lastMs}
	e.lastMs = r.ms
	if r.life() == 0 {
		e.startMs = r.ms - 3000
		e.starts[e.startMs] = moment{Round: r.K, Stamp: "start"}
	}
	r.start = e.startMs
	e.lastRq = *r
	e.requests++
	return r
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if moved, ok := strings.CutPrefix(r.URL.Path, "/moved/"); ok { // the second leg of a redirect is no scrape of its own
		k, _ := strconv.Atoi(moved)
		answer := e.target.page(&request{K: k, at: e})
		answer.redirect = false
		answer.serve(w, r, k)
		return
	}
	rq := e.next()
	if st, ok := e.target.after[rq.K]; ok && !rq.repeat {
		defer e.side.later(e, st)
	}
	answer := e.target.page(rq)
	answer.serve(w, r, rq.K)
}

func (p page) serve(w http.ResponseWriter, r *http.Request, k int) {
	if p.hang {
		<-r.Context().Done()
		return
	}
	if p.wait > 0 {
		select {
		case <-time.After(p.wait):
		case <-r.Context().Done():
			return
		}
	}
	if p.garble {
		breakOff(w)
		return
	}
	if p.redirect {
		http.Redirect(w, r, "/moved/"+strconv.Itoa(k), http.StatusFound)
		return
	}
	body := []byte(p.body)
	if p.gzip {
		body = zipped(body)
	}
	p.headers(w.Header(), len(body))
	w.WriteHeader(max(p.status, 200))
	_, _ = w.Write(body) // the client may have gone away
	if p.stall {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

func (p page) headers(h http.Header, size int) {
	switch p.kind {
	case "":
		h.Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	case "-":
		h["Content-Type"] = nil
	default:
		h.Set("Content-Type", p.kind)
	}
	if p.gzip || p.raw {
		h.Set("Content-Encoding", "gzip")
	}
	if p.cut || p.stall {
		h.Set("Content-Length", strconv.Itoa(size+100))
	}
}

func zipped(body []byte) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, _ = z.Write(body) // a Buffer takes everything
	_ = z.Close()
	return buf.Bytes()
}

// breakOff writes the beginning of an answer and closes the connection. With
// nothing written, clients would try again by themselves.
func breakOff(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Ty") // that is all
	_ = conn.Close()
}
