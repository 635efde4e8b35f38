//go:build e2e

package faults

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
)

const (
	staleBits = 0x7ff0000000000002
	writePath = "/api/v1/write"
)

// reaction is what a request meets; the zero value takes and acknowledges it.
type reaction struct {
	status     int           // other than 2xx: nothing is taken
	retryAfter string        // header
	delay      time.Duration // before anything happens
	hang       bool          // no answer until the client gives up; nothing is taken
	mute       bool          // taken, but the connection closes without an answer
}

// behaviour chooses the reaction to the nth request, counted from 0 since the
// behaviour began.
type behaviour func(n, samples int) reaction

func healthy(int, int) reaction { return reaction{} }

// refusing answers 429 and 500 in turn.
func refusing(n, _ int) reaction {
	if n%2 == 0 {
		return reaction{status: http.StatusTooManyRequests, retryAfter: "1"}
	}
	return reaction{status: http.StatusInternalServerError}
}

func hanging(int, int) reaction { return reaction{hang: true} }

func slow(int, int) reaction { return reaction{delay: 100 * time.Millisecond} }

// muteAtTimes takes every third request without saying so.
func muteAtTimes(n, _ int) reaction { return reaction{mute: n%3 == 1} }

// tooLarge is a sink for small requests.
func tooLarge(_, samples int) reaction {
	if samples > 60 {
		return reaction{status: http.StatusRequestEntityTooLarge}
	}
	return reaction{}
}

// series is what a sink has of a series, in order of time.
type series struct {
	ms   []int64
	bits []uint64
}

// sink is a remote-write 1.0 receiver that keeps every sample, and fails in
// the ways that receivers do.
type sink struct {
	addr string

	mu         sync.Mutex
	server     *http.Server // nil while down
	behaviour  behaviour
	requests   int // since the behaviour began
	all        map[seriesKey]*series
	distinct   int       // samples of whole scrapes: neither stale markers, nor up 0
	latest     time.Time // when distinct grew last
	duplicates int
	late       int // first arrivals behind a newer sample of their series
	firstLate  string
	faults     []string // what must never be: two values at one time, unreadable requests
	bodyBytes  int64    // of requests that were taken
	taken      int64    // samples of requests that were taken
}

func startSink(t *testing.T) *sink {
	t.Helper()
	s := &sink{addr: "127.0.0.1:0", behaviour: healthy, all: map[seriesKey]*series{}}
	s.up(t)
	t.Cleanup(s.down)
	return s
}

func (s *sink) url() string { return "http://" + s.addr + writePath }

// also is another address of the sink, which is never down.
func (s *sink) also(t *testing.T) (url string) {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.URL + writePath
}

// up listens, again on the same address after down.
func (s *sink) up(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return
	}
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	s.addr, s.server = l.Addr().String(), server
	go func() { _ = server.Serve(l) }() // ends with down
}

// down refuses connections and breaks those there are.
func (s *sink) down() {
	s.mu.Lock()
	server := s.server
	s.server = nil
	s.mu.Unlock()
	if server != nil {
		_ = server.Close() // to break connections is what is wanted
	}
}

// behave changes how requests are met from now on.
func (s *sink) behave(b behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behaviour, s.requests = b, 0
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != writePath {
		http.NotFound(w, r) // it does not say what it is
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		return // the sender is gone
	}
	message, err := decode(r, body)
	if err != nil {
		s.fault("%v", err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	samples := 0
	for i := range message.Timeseries {
		samples += len(message.Timeseries[i].Samples)
	}
	s.mu.Lock()
	answer := s.behaviour(s.requests, samples)
	s.requests++
	s.mu.Unlock()
	if answer.hang {
		answer.delay = time.Hour
	}
	if answer.delay > 0 {
		select {
		case <-time.After(answer.delay):
		case <-r.Context().Done():
			return
		}
	}
	if answer.status != 0 && answer.status/100 != 2 {
		if answer.retryAfter != "" {
			w.Header().Set("Retry-After", answer.retryAfter)
		}
		http.Error(w, "not now", answer.status)
		return
	}
	s.take(message, len(body), samples)
	if answer.mute {
		panic(http.ErrAbortHandler) // net/http closes the connection
	}
	w.WriteHeader(http.StatusNoContent)
}

func decode(r *http.Request, body []byte) (*prompb.WriteRequest, error) {
	if version := r.Header.Get("X-Prometheus-Remote-Write-Version"); version != "0.1.0" {
		return nil, fmt.Errorf("request of version %q", version)
	}
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		return nil, fmt.Errorf("unpack request: %w", err)
	}
	message := new(prompb.WriteRequest)
	if err := message.Unmarshal(raw); err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	return message, nil
}

func (s *sink) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

func (s *sink) take(message *prompb.WriteRequest, bytes, samples int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodyBytes += int64(bytes)
	s.taken += int64(samples)
	for i := range message.Timeseries {
		k, err := keyOf(message.Timeseries[i].Labels)
		if err != nil {
			s.faults = append(s.faults, err.Error())
			continue
		}
		for _, sample := range message.Timeseries[i].Samples {
			s.book(k, sample.Timestamp, math.Float64bits(sample.Value))
		}
	}
}

func keyOf(labels []prompb.Label) (k seriesKey, err error) {
	k.Target = -1
	for _, l := range labels {
		switch l.Name {
		case "__name__":
			k.Name = l.Value
		case "t":
			k.Target, err = strconv.Atoi(strings.TrimPrefix(l.Value, "/"))
		case "i":
			k.I, err = strconv.Atoi(l.Value)
		default:
			err = errors.New("a label that nobody set")
		}
		if err != nil {
			return k, fmt.Errorf("series %v: %w", labels, err)
		}
	}
	return k, nil
}

// book adds one sample.
func (s *sink) book(k seriesKey, ms int64, bits uint64) {
	x := s.all[k]
	if x == nil {
		x = &series{}
		s.all[k] = x
	}
	i, again := len(x.ms), false
	if i > 0 && x.ms[i-1] >= ms {
		i, again = slices.BinarySearch(x.ms, ms)
	}
	switch {
	case again && x.bits[i] == bits:
		s.duplicates++
		return
	case again:
		s.faults = append(s.faults, fmt.Sprintf("%v at %d is both %v and %v", k, ms,
			math.Float64frombits(x.bits[i]), math.Float64frombits(bits)))
		return
	case i < len(x.ms):
		if s.late++; s.late == 1 {
			s.firstLate = fmt.Sprintf("%v at %d came after %d", k, ms, x.ms[len(x.ms)-1])
		}
	}
	x.ms = slices.Insert(x.ms, i, ms)
	x.bits = slices.Insert(x.bits, i, bits)
	if bits != staleBits && (k.Name != upName || bits != 0) {
		s.distinct++
		s.latest = time.Now()
	}
}

// progress is how many samples of whole scrapes have arrived, and when the
// last of them did.
func (s *sink) progress() (distinct int, latest time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.distinct, s.latest
}

// wire is what was taken so far.
func (s *sink) wire() (samples, bodyBytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken, s.bodyBytes
}

// last is the newest sample of a series; ok is false if there is none.
func (s *sink) last(k seriesKey) (ms int64, bits uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.all[k]
	if x == nil {
		return 0, 0, false
	}
	return x.ms[len(x.ms)-1], x.bits[len(x.bits)-1], true
}
