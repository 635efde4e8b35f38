//go:build e2e

package faults

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Series of a target, beside up: sequence holds the number of the scrape, churn
// lives for some scrapes and makes place for the next, and value{i} are the
// many.
const (
	sequenceName = "sequence"
	churnName    = "churn"
	valueName    = "value"
	upName       = "up"

	generation = 16 // scrapes that a churn lives for
)

// seriesKey names a series of a target; I is the label i, 0 where there is none.
type seriesKey struct {
	Name   string
	Target int
	I      int
}

func (k seriesKey) String() string { return fmt.Sprintf("%s{t=%d,i=%d}", k.Name, k.Target, k.I) }

// valueAt is what a series is worth in scrape n. A third of the many moves at
// each scrape, a third every eighth, a third stands still; each has bits that
// no other value has.
func valueAt(k seriesKey, n int) float64 {
	switch k.Name {
	case upName:
		return 1
	case sequenceName:
		return float64(n)
	case valueName:
		switch k.I % 3 {
		case 1:
			n -= n % 8
		case 2:
			n = 0
		}
	}
	x := uint64(n)<<40 ^ uint64(k.Target)<<20 ^ uint64(k.I) ^ uint64(len(k.Name))<<60
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	return float64(n) + float64(x>>44)/(1<<20)
}

// scrape is one answer of a target that was written whole.
type scrape struct {
	n      int
	asked  time.Time
	served time.Time // when its last byte was written
	series int       // of value
	churn  int       // label i of churn
}

// keys are the series of a scrape of a target, up among them.
func (s scrape) keys(target int) []seriesKey {
	keys := []seriesKey{{upName, target, 0}, {sequenceName, target, 0}, {churnName, target, s.churn}}
	for i := range s.series {
		keys = append(keys, seriesKey{valueName, target, i})
	}
	return keys
}

// samples is the number of keys.
func (s scrape) samples() int { return s.series + 3 }

// target is one page. Numbers rise with each attempt, and a number is never
// used again.
type target struct {
	mu      sync.Mutex
	next    int
	series  int
	lasting bool // one churn for ever
	scrapes []scrape
}

// targets are served from one address, the i-th at path /i.
type targets struct {
	server *httptest.Server
	frozen atomic.Bool // all answer 503
	all    []*target
}

func startTargets(t *testing.T, n, series int) *targets {
	t.Helper()
	ts := &targets{}
	for range n {
		ts.all = append(ts.all, &target{next: 1, series: series})
	}
	ts.server = httptest.NewServer(ts)
	t.Cleanup(func() {
		ts.server.CloseClientConnections()
		ts.server.Close()
	})
	return ts
}

func (ts *targets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	if err != nil || i < 0 || i >= len(ts.all) {
		http.NotFound(w, r)
		return
	}
	if ts.frozen.Load() {
		http.Error(w, "frozen", http.StatusServiceUnavailable)
		return
	}
	ts.all[i].serve(w, i)
}

func (tg *target) serve(w http.ResponseWriter, id int) {
	tg.mu.Lock()
	s := scrape{n: tg.next, asked: time.Now(), series: tg.series, churn: tg.next / generation}
	if tg.lasting {
		s.churn = 0
	}
	tg.next++
	tg.mu.Unlock()
	page := s.page(id)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	if _, err := w.Write(page); err != nil {
		return
	}
	if err := http.NewResponseController(w).Flush(); err != nil {
		return
	}
	s.served = time.Now()
	tg.mu.Lock()
	tg.scrapes = append(tg.scrapes, s)
	tg.mu.Unlock()
}

func (s scrape) page(target int) []byte {
	var page []byte
	for _, k := range s.keys(target)[1:] { // up is kinglet's
		page = append(page, k.Name...)
		if k.Name != sequenceName {
			page = append(page, `{i="`...)
			page = strconv.AppendInt(page, int64(k.I), 10)
			page = append(page, `"}`...)
		}
		page = append(page, ' ')
		page = strconv.AppendFloat(page, valueAt(k, s.n), 'f', -1, 64)
		page = append(page, '\n')
	}
	return page
}

// served is a copy of a target's whole answers, in order.
func (tg *target) served() []scrape {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	return append([]scrape(nil), tg.scrapes...)
}

// show changes how many series a target serves from now on.
func (tg *target) show(series int) {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	tg.series = series
}

// samples of all whole answers so far, up included.
func (ts *targets) samples() int {
	n := 0
	for _, tg := range ts.all {
		tg.mu.Lock()
		for _, s := range tg.scrapes {
			n += s.samples()
		}
		tg.mu.Unlock()
	}
	return n
}

// urls are the addresses as a TOML list, those of the targets left out.
func (ts *targets) urls(but ...int) string {
	var all []string
	for i := range ts.all {
		if slices.Contains(but, i) {
			continue
		}
		all = append(all, fmt.Sprintf("%q", ts.server.URL+"/"+strconv.Itoa(i)))
	}
	return "[" + strings.Join(all, ", ") + "]"
}
