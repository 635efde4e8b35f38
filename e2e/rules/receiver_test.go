//go:build e2e

package rules

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

// receiver is a remote-write endpoint that answers by script and keeps every
// request.
type receiver struct {
	script Writer
	server *httptest.Server
	addr   string // reserved before the server listens

	mu       sync.Mutex
	requests []*Request
}

// Request is one remote-write request, decoded.
type Request struct {
	N        int // counts from 0
	At, Done time.Time
	Method   string
	URI      string
	Header   http.Header
	Remote   string // the client's address: one per connection
	Raw      []byte // as it came
	Proto    []byte // decompressed
	V2       bool
	Samples  []Sample
	Metadata []FamilyMetadata
	Symbols  []string // 2.0 only
	Series   int
	Fault    error // why it could not be decoded
	Status   int   // what was answered; 0 = nothing yet, or nothing at all
}

// Acked reports whether the receiver took the request.
func (r *Request) Acked() bool { return r.Status/100 == 2 }

func newReceiver(script Writer) (*receiver, error) {
	rc := &receiver{script: script}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	rc.addr = l.Addr().String()
	if script.Late {
		return rc, l.Close()
	}
	rc.serve(l)
	return rc, nil
}

// listen makes a late receiver reachable.
func (rc *receiver) listen() error {
	l, err := net.Listen("tcp", rc.addr)
	if err != nil {
		return err
	}
	rc.serve(l)
	return nil
}

func (rc *receiver) serve(l net.Listener) {
	rc.server = httptest.NewUnstartedServer(rc)
	_ = rc.server.Listener.Close() // replaced by the reserved one
	rc.server.Listener = l
	rc.server.Start()
}

func (rc *receiver) close() {
	if rc.server != nil {
		rc.server.CloseClientConnections()
		rc.server.Close()
	}
}

func (rc *receiver) url() string {
	path := rc.script.Path
	if path == "" {
		path = "/api/v1/write"
	}
	return "http://" + rc.addr + path
}

// seen is every request so far, in order of arrival.
func (rc *receiver) seen() []Request {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	all := make([]Request, len(rc.requests))
	for i, r := range rc.requests {
		all[i] = *r
	}
	return all
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet { // an agent may look what it writes to
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 256<<20))
	q := &Request{
		At: time.Now(), Method: r.Method, URI: r.URL.RequestURI(), Header: r.Header.Clone(), Remote: r.RemoteAddr,
		Raw: body, Fault: err,
	}
	if err == nil {
		q.decode()
	}
	if q.Header.Get("Content-Encoding") == "zstd" { // an offer outside the rules is declined, outside the script too
		http.Error(w, "want snappy", http.StatusUnsupportedMediaType)
		return
	}
	rc.mu.Lock()
	q.N = len(rc.requests)
	rc.requests = append(rc.requests, q)
	answer := rc.script.Rest
	if rc.script.Reply != nil {
		answer = rc.script.Reply(q)
	} else if q.N < len(rc.script.Answers) {
		answer = rc.script.Answers[q.N]
	}
	rc.mu.Unlock()

	alive := pause(r, answer.Wait) && !(answer.Hang && !pause(r, time.Hour))
	rc.mu.Lock()
	q.Done = time.Now()
	if alive && !answer.Close {
		q.Status = answer.Status
		if q.Status == 0 {
			q.Status = http.StatusNoContent
		}
	}
	rc.mu.Unlock()
	if alive {
		answer.send(w, q)
	}
}

func (a Answer) send(w http.ResponseWriter, q *Request) {
	if a.Close {
		hijackAndBreak(w, "HTTP/1.1 ")
		return
	}
	if q.V2 && !a.Mute && (a.Status/100 == 2 || a.Status == 0 || a.Partial) {
		samples, histograms, exemplars := q.counts()
		samples -= b2i(a.Partial)
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(samples))
		w.Header().Set("X-Prometheus-Remote-Write-Histograms-Written", strconv.Itoa(histograms))
		w.Header().Set("X-Prometheus-Remote-Write-Exemplars-Written", strconv.Itoa(exemplars))
	}
	for k, v := range a.Header {
		w.Header()[k] = v
	}
	if a.Status == 999 || a.Cut { // net/http writes neither
		status := max(a.Status, 200*b2i(a.Status == 0))
		hijackAndBreak(w, "HTTP/1.1 "+strconv.Itoa(status)+" Odd\r\nContent-Type: text/plain\r\nContent-Length: "+
			strconv.Itoa(len(a.Body)+1000*b2i(a.Cut))+"\r\nConnection: close\r\n\r\n"+a.Body)
		return
	}
	w.WriteHeader(q.Status)
	if a.Body != "" {
		_, _ = io.Copy(w, strings.NewReader(a.Body)) // the sender may hang up on a long one
	}
}

func (r *Request) counts() (samples, histograms, exemplars int) {
	for _, s := range r.Samples {
		if s.Hist != nil {
			histograms++
		} else {
			samples++
		}
		exemplars += len(s.Exemplars)
	}
	return samples, histograms, exemplars
}
