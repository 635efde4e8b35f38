package main

import (
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/value"
)

// push is one request, unpacked.
type push struct {
	at       time.Time
	bytes    int // packed
	encoding string
	v2       bool
	message  []byte
}

// tally is what was received since the run began.
type tally struct {
	requests   int64
	body       int64 // bytes of bodies, packed
	raw        int64 // bytes of messages, unpacked
	samples    int64 // of the targets' series, each time one came
	distinct   int64 // each series and timestamp once
	duplicates int64 // a series and timestamp again
	late       int64 // older than the newest of its series
	own        int64 // samples of up, scrape_duration_seconds and the like
	stale      int64 // stale markers
	metadata   int64 // descriptions
	series     int64 // of the targets
}

// latency is the time from when a target began to answer to when the sample of
// bench_scrape_seq of that scrape was read here.
type latency struct {
	at  time.Time
	was time.Duration
}

// ledger knows every sample that was received, by series and timestamp.
type ledger struct {
	begun func(target int, sequence int64) (unixNano int64, ok bool)

	mu sync.Mutex
	tally
	protocols map[string]int64
	decoder   *decoder
	seen      map[uint64]*account
	scrapes   []map[int64]bool // sequence numbers seen of each target
	arrived   int              // targets of which anything was seen
	first     time.Time        // when the first sample was seen
	complete  time.Time        // when every target had been seen
	latencies []latency
}

// account is one series.
type account struct {
	own        bool    // the agent's own, not of a page
	timestamps []int64 // milliseconds, ascending
}

// newLedger follows n targets. begun says when a target answered a scrape.
func newLedger(n int, begun func(int, int64) (int64, bool)) *ledger {
	return &ledger{
		begun: begun, protocols: map[string]int64{}, decoder: newDecoder(),
		seen: map[uint64]*account{}, scrapes: make([]map[int64]bool, n),
	}
}

// take books one request and says how many samples it had. An error is of the
// message; what stood before the fault is booked, and the run fails by it.
func (l *ledger) take(p push) (samples int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	read, version := l.decoder.v1, "1.0 "
	if p.v2 {
		read, version = l.decoder.v2, "2.0 "
	}
	l.decoder.metadata = 0
	err = read(p.message, func(r *received) {
		samples += len(r.samples)
		l.book(r, p.at)
	})
	l.metadata += l.decoder.metadata
	l.requests++
	l.body += int64(p.bytes)
	l.raw += int64(len(p.message))
	l.protocols[version+p.encoding]++
	return samples, err
}

// book adds the samples of one series.
func (l *ledger) book(r *received, at time.Time) {
	a := l.seen[r.hash]
	if a == nil {
		a = &account{own: isOwn(string(r.name))}
		l.seen[r.hash] = a
		if !a.own {
			l.series++
		}
	}
	for _, s := range r.samples {
		switch {
		case math.Float64bits(s.value) == value.StaleNaN:
			l.stale++
			continue
		case a.own:
			l.own++
			continue
		}
		l.samples++
		i, again := slices.BinarySearch(a.timestamps, s.timestampMs)
		if again {
			l.duplicates++
		} else {
			if i < len(a.timestamps) {
				l.late++
			}
			a.timestamps = slices.Insert(a.timestamps, i, s.timestampMs)
			l.distinct++
		}
		if r.target != nil && string(r.name) == sequenceName {
			l.scrape(string(r.target), int64(s.value), at)
		}
	}
}

// scrape notes that a scrape of a target arrived.
func (l *ledger) scrape(target string, sequence int64, at time.Time) {
	id, err := strconv.Atoi(target)
	if err != nil || id < 0 || id >= len(l.scrapes) {
		return
	}
	if l.scrapes[id] == nil {
		l.scrapes[id] = map[int64]bool{}
		if l.arrived++; l.arrived == 1 {
			l.first = at
		}
		if l.arrived == len(l.scrapes) {
			l.complete = at
		}
	}
	l.scrapes[id][sequence] = true
	if begun, ok := l.begun(id, sequence); ok {
		l.latencies = append(l.latencies, latency{at, at.Sub(time.Unix(0, begun))})
	}
}

// starts is when the first sample, and one of every target, was received; zero
// while that has not happened.
func (l *ledger) starts() (first, complete time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first, l.complete
}

// latencyBetween is the median, the 95th percentile and the greatest latency of
// the scrapes that arrived from one moment to another.
func (l *ledger) latencyBetween(from, to time.Time) (p50, p95, greatest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []time.Duration
	for _, one := range l.latencies {
		if !one.at.Before(from) && one.at.Before(to) {
			all = append(all, one.was)
		}
	}
	if len(all) == 0 {
		return 0, 0, 0
	}
	slices.Sort(all)
	return all[len(all)/2], all[len(all)*95/100], all[len(all)-1]
}

// isOwn says that a series is what agents send of a scrape beside its page.
func isOwn(name string) bool {
	switch name {
	case "up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling",
		"scrape_series_added", "scrape_timeout_seconds", "scrape_sample_limit", "scrape_samples_limit",
		"scrape_body_size_bytes", "scrape_response_size_bytes", "scrape_series_current", "scrape_series_limit",
		"scrape_series_limit_samples_dropped":
		return true
	default:
		return false
	}
}
