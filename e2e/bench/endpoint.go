package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/zstd"
)

// Bounds of one request, packed and unpacked: far above what agents send.
const (
	maxBody = 64 << 20
	maxRaw  = 1 << 30
)

// endpoint receives what the agent pushes, remote write 1.0 and 2.0 with
// snappy or zstd, and accounts for every sample. It can be made to refuse.
type endpoint struct {
	address string
	conns   connCounter
	unzstd  *zstd.Decoder
	owned   sync.WaitGroup

	mu      sync.Mutex
	server  *http.Server // nil while down
	codes   []int        // answered in turn while there are any
	refused int64        // answered so
	bad     int64        // requests that cannot be read
	ledger  *ledger
}

// startEndpoint listens on 127.0.0.1. The caller closes it.
func startEndpoint(l *ledger) (*endpoint, error) {
	unzstd, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxRaw))
	if err != nil {
		return nil, fmt.Errorf("prepare zstd: %w", err)
	}
	e := &endpoint{address: "127.0.0.1:0", unzstd: unzstd, ledger: l}
	if err := e.up(); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *endpoint) close() {
	e.down()
	e.unzstd.Close()
}

// up listens, again on the same address after down.
func (e *endpoint) up() error {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", e.address) // its life ends with down
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	server := &http.Server{Handler: e, ReadHeaderTimeout: time.Minute}
	e.address, e.server = l.Addr().String(), server
	e.owned.Go(func() {
		if err := server.Serve(countedListener{l, &e.conns}); !errors.Is(err, http.ErrServerClosed) {
			e.mu.Lock()
			e.bad++ // the run fails by it
			e.mu.Unlock()
		}
	})
	return nil
}

// down closes the listener and every connection: new ones are refused.
func (e *endpoint) down() {
	e.mu.Lock()
	server := e.server
	e.server = nil
	e.mu.Unlock()
	if server != nil {
		server.Close() //nolint:errcheck // breaking connections is what is wanted
	}
	e.owned.Wait()
}

// answer makes every request meet these statuses in turn; none ends that.
func (e *endpoint) answer(codes []int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.codes = codes
}

// ServeHTTP takes one request.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("get_vm_proto_version") { // older vmagents ask first
		fmt.Fprint(w, "1")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return // the agent or a fault broke the connection
	}
	if code := e.fault(); code != 0 {
		if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		http.Error(w, "this endpoint refuses for now", code)
		return
	}
	p := push{
		at: time.Now(), bytes: len(body), encoding: r.Header.Get("Content-Encoding"),
		v2: strings.Contains(r.Header.Get("Content-Type"), "io.prometheus.write.v2.Request"),
	}
	samples := 0
	if p.message, err = e.unpack(p.encoding, body); err == nil {
		samples, err = e.ledger.take(p)
	}
	if err != nil {
		e.mu.Lock()
		e.bad++
		e.mu.Unlock()
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if p.v2 {
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(samples))
		w.Header().Set("X-Prometheus-Remote-Write-Histograms-Written", "0")
		w.Header().Set("X-Prometheus-Remote-Write-Exemplars-Written", "0")
	}
	w.WriteHeader(http.StatusNoContent)
}

// fault is the status a request must meet now, 0 for none.
func (e *endpoint) fault() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.codes) == 0 {
		return 0
	}
	e.refused++
	return e.codes[int(e.refused-1)%len(e.codes)]
}

func (e *endpoint) unpack(encoding string, body []byte) ([]byte, error) {
	switch encoding {
	case "zstd":
		return e.unzstd.DecodeAll(body, nil)
	case "snappy", "":
		if n, err := snappy.DecodedLen(body); err != nil || n > maxRaw {
			return nil, fmt.Errorf("snappy: %d bytes unpacked: %w", n, errors.Join(err, errMessage))
		}
		return snappy.Decode(nil, body)
	default:
		return nil, fmt.Errorf("encoding %q: want snappy or zstd", encoding)
	}
}

// traffic is what came over the wire.
type traffic struct {
	tally
	conn         int64 // bytes read from connections, headers included
	refused, bad int64
	protocols    map[string]int64 // requests by version and encoding
}

func (e *endpoint) traffic() traffic {
	e.mu.Lock()
	refused, bad := e.refused, e.bad
	e.mu.Unlock()
	e.ledger.mu.Lock()
	defer e.ledger.mu.Unlock()
	return traffic{e.ledger.tally, e.conns.bytes.Load(), refused, bad, maps.Clone(e.ledger.protocols)}
}

// connCounter counts the bytes read from all connections.
type connCounter struct{ bytes atomic.Int64 }

type countedListener struct {
	net.Listener
	counter *connCounter
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countedConn{c, l.counter}, nil
}

type countedConn struct {
	net.Conn
	counter *connCounter
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.counter.bytes.Add(int64(n))
	return n, err
}
