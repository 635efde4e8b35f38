//go:build e2e

package e2e

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql/parser"

	"kinglet/internal/tree"
)

// recordedPage reads a page of a real cluster, as served: name is kube-proxy,
// kubelet or kubelet-cadvisor; when is "0s", or "15s" for what it was later.
func recordedPage(t *testing.T, name, when string) string {
	t.Helper()
	return string(tree.Unzip(t, "../cmd/kinglet-demo/pages/"+name+"."+when+".txt.gz"))
}

// pageServer serves a page and remembers when it was asked.
type pageServer struct {
	URL string

	mu    sync.Mutex
	asked []time.Time
}

// servePage answers on address ("" = any port) until the test ends; body makes
// the nth answer, counted from 0.
func servePage(t *testing.T, address string, body func(n int) string) *pageServer {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("serve a page: %v", err)
	}
	s := &pageServer{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		n := len(s.asked)
		s.asked = append(s.asked, time.Now())
		s.mu.Unlock()
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores")
		_, _ = io.WriteString(w, body(n)) // the scraper hung up
	}))
	_ = server.Listener.Close() // the one that it chose
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	s.URL = server.URL + "/metrics"
	return s
}

// times are the moments at which the page was asked for.
func (s *pageServer) times() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// exposed is one sample of a page.
type exposed struct {
	Labels map[string]string // __name__ included
	Value  float64
	Ms     int64 // its own timestamp, 0 if it has none
}

// parsePage reads a page with Prometheus' parsers, series by key. The labels
// are those of the page, letter by letter: the page's parser alone would write
// le="10" as le="10.0".
func parsePage(t *testing.T, page string) map[string]exposed {
	t.Helper()
	samples := map[string]exposed{}
	series := parser.NewParser(parser.Options{})
	p := textparse.NewPromParser([]byte(page), labels.NewSymbolTable(), false)
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return samples
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		text, ms, value := p.Series()
		ls, err := series.ParseMetric(string(text))
		if err != nil {
			t.Fatal(err)
		}
		e := exposed{Labels: map[string]string{}, Value: value}
		ls.Range(func(l labels.Label) {
			if l.Value != "" { // an empty label is none
				e.Labels[l.Name] = l.Value
			}
		})
		if ms != nil {
			e.Ms = *ms
		}
		samples[key(e.Labels)] = e
	}
}

// shiftTimestamps moves a page's own timestamps so that the newest is at: a
// receiver refuses samples of another day.
func shiftTimestamps(page string, at time.Time) string {
	var newest int64
	for line := range strings.Lines(page) {
		newest = max(newest, ownTimestamp(line))
	}
	var b strings.Builder
	for line := range strings.Lines(page) {
		if ms := ownTimestamp(line); ms > 0 {
			line = line[:strings.LastIndexByte(line, ' ')+1] + strconv.FormatInt(at.UnixMilli()-newest+ms, 10) + "\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

// ownTimestamp is the timestamp at the end of a line, or 0.
func ownTimestamp(line string) int64 {
	if strings.HasPrefix(line, "#") {
		return 0
	}
	line = strings.TrimSpace(line)
	ms, err := strconv.ParseInt(line[strings.LastIndexByte(line, ' ')+1:], 10, 64)
	if err != nil || ms < 1e12 {
		return 0
	}
	return ms
}
