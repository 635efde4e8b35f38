package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
)

// targets serves pages to the agent. Each page is rendered, and packed if the
// agent takes gzip, before it is asked for, so that a scrape waits for nothing.
type targets struct {
	all       []*target
	churn     float64 // fraction of the series replaced per minute
	plain     bool    // never compress
	frozen    atomic.Bool
	server    *http.Server
	next      chan *target // served just now
	stop      chan struct{}
	owned     sync.WaitGroup
	addresses []string // of each target
}

// target is one page and what became of it.
type target struct {
	id int

	mu       sync.Mutex
	page     *page
	body     []byte
	packed   bytes.Buffer
	ready    bool // body is a page that nobody had yet
	isPacked bool // and packed is the same
	gzip     bool // the agent takes gzip
	rendered time.Time
	scrapes  int64 // answered whole
	bytes    int64 // of pages answered whole, unpacked

	// begun is when each scrape was answered, Unix nanoseconds, by its sequence
	// number. It has a lock of its own: mu is held while an agent reads.
	begunMu sync.Mutex
	begun   map[int64]int64
}

// startTargets serves the pages of s on 127.0.0.1. The caller closes them.
func startTargets(s scenario) (*targets, error) {
	t := &targets{churn: s.Churn / 100, plain: s.Plain, stop: make(chan struct{})}
	for _, g := range s.Groups {
		for range g.N {
			id := len(t.all)
			page, err := newPage(id, g)
			if err != nil {
				return nil, fmt.Errorf("make target %d: %w", id, err)
			}
			if s.Aged {
				page.replaceAll()
			}
			one := &target{id: id, page: page, gzip: !s.Plain, begun: map[int64]int64{}}
			t.prepare(one) // the first page is ready before the agent starts
			t.all = append(t.all, one)
		}
	}
	t.next = make(chan *target, len(t.all))
	t.server = &http.Server{Handler: t, ReadHeaderTimeout: time.Minute}
	listeners := 1
	if s.Ports {
		listeners = len(t.all)
	}
	for range listeners {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.close()
			return nil, fmt.Errorf("serve targets: %w", err)
		}
		t.addresses = append(t.addresses, l.Addr().String())
		t.owned.Go(func() {
			if err := t.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				t.frozen.Store(true) // the run will find that nothing was scraped
			}
		})
	}
	t.owned.Go(t.prepareNext)
	return t, nil
}

func (t *targets) close() {
	close(t.stop)
	t.server.Close() //nolint:errcheck // the run is over; nothing waits for these connections
	t.owned.Wait()
}

// url is where target i is scraped: host:port and path.
func (t *targets) url(i int) (address, path string) {
	return t.addresses[i%len(t.addresses)], "/t/" + strconv.Itoa(i) + "/metrics"
}

// prepareNext makes the next page of a target as soon as one was served.
func (t *targets) prepareNext() {
	for {
		select {
		case <-t.stop:
			return
		case one := <-t.next:
			one.mu.Lock()
			t.prepare(one)
			one.mu.Unlock()
		}
	}
}

// prepare renders and packs one page, unless that is done. one is locked.
func (t *targets) prepare(one *target) {
	if !one.ready {
		now, replaced := time.Now(), 0.0
		if !one.rendered.IsZero() {
			replaced = t.churn * now.Sub(one.rendered).Minutes()
		}
		one.page.evolve(replaced)
		one.body = one.page.render(one.body[:0])
		one.rendered, one.ready, one.isPacked = now, true, false
	}
	if one.gzip && !one.isPacked {
		one.packed.Reset()
		w, err := gzip.NewWriterLevel(&one.packed, gzip.BestSpeed)
		if err == nil {
			_, err = w.Write(one.body)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			panic("packing into memory: " + err.Error())
		}
		one.isPacked = true
	}
}

// ServeHTTP answers /t/N/metrics with the page of target N.
func (t *targets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, ok := strings.CutPrefix(r.URL.Path, "/t/")
	id, ok2 := strings.CutSuffix(id, "/metrics")
	i, err := strconv.Atoi(id)
	switch {
	case !ok || !ok2 || err != nil || i < 0 || i >= len(t.all):
		http.NotFound(w, r)
	case t.frozen.Load():
		http.Error(w, "the run is over", http.StatusServiceUnavailable)
	default:
		t.serve(t.all[i], w, r)
	}
}

func (t *targets) serve(one *target, w http.ResponseWriter, r *http.Request) {
	one.mu.Lock()
	defer one.mu.Unlock()
	one.gzip = !t.plain && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
	t.prepare(one)
	body := one.body
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if one.gzip {
		body = one.packed.Bytes()
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	one.begunMu.Lock()
	one.begun[one.page.sequence] = time.Now().UnixNano()
	one.begunMu.Unlock()
	n, err := w.Write(body)
	one.ready = false
	if err == nil && n == len(body) && r.Context().Err() == nil {
		one.scrapes++
		one.bytes += int64(len(one.body))
	}
	select {
	case t.next <- one:
	default:
	}
}

// served is what the targets have given out.
type served struct {
	series  int   // of all pages
	scrapes int64 // answered whole
	samples int64 // of those
	bytes   int64 // of those, unpacked
}

func (t *targets) served() served {
	var s served
	for _, one := range t.all {
		one.mu.Lock()
		s.series += one.page.series
		s.scrapes += one.scrapes
		s.samples += one.scrapes * int64(one.page.series)
		s.bytes += one.bytes
		one.mu.Unlock()
	}
	return s
}

// begun is when a scrape was answered, Unix nanoseconds; ok is false if there
// was none of this number.
func (t *targets) begun(id int, sequence int64) (unixNano int64, ok bool) {
	if id < 0 || id >= len(t.all) {
		return 0, false
	}
	one := t.all[id]
	one.begunMu.Lock()
	defer one.begunMu.Unlock()
	unixNano, ok = one.begun[sequence]
	return unixNano, ok
}
