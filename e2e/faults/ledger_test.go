//go:build e2e

package faults

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// An end is when kinglet was killed or told to stop, and when it was started
// again: a scrape answered in between was read by nobody.
type end struct{ at, again time.Time }

// verdict is the outcome of comparing what targets served with what a sink has.
type verdict struct {
	scrapes, samples int // served
	lost             []missing
	excused          []missing // in flight when kinglet was killed
	failed           []missing // kinglet took too long to read them, and says up 0
	altered          []string  // another value, or another time
	late             int
	firstLate        string
	duplicates       int
}

// missing is a scrape of which samples are missing.
type missing struct {
	target  int
	scrape  scrape
	samples int           // of the scrape's
	before  time.Duration // the nearest end
}

func (m missing) String() string {
	return fmt.Sprintf("target %d scrape %d served %s, %v before the nearest end: %d of %d samples are missing", m.target, m.scrape.n,
		m.scrape.served.Format("15:04:05.000"), m.before.Round(100*time.Microsecond), m.samples, m.scrape.samples())
}

// judge compares.
func judge(ts *targets, s *sink, ends []end) verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := verdict{altered: slices.Clone(s.faults), late: s.late, firstLate: s.firstLate, duplicates: s.duplicates}
	for id, tg := range ts.all {
		v.target(id, tg.served(), s.all, ends)
	}
	return v
}

// target judges one target.
func (v *verdict) target(id int, served []scrape, all map[seriesKey]*series, ends []end) {
	when := times(id, all, &v.altered) // of scrape n
	known := map[int64]int{}
	for n, ms := range when {
		known[ms] = n
	}
	for k, x := range all {
		if k.Target == id {
			v.values(k, x, known)
		}
	}
	for i, s := range served {
		v.scrapes++
		v.samples += s.samples()
		m := missing{target: id, scrape: s, before: beforeEnd(s.served, ends)}
		up := all[seriesKey{upName, id, 0}]
		ms, ok := when[s.n]
		if !ok { // up does not tell n, but may have arrived alone
			ms, ok = near(up, s, 1)
		}
		for _, k := range s.keys(id) {
			if !ok || !has(all[k], ms) {
				m.samples++
			}
		}
		if m.samples == 0 {
			continue
		}
		if _, failed := near(up, s, 0); failed && m.samples == s.samples() {
			v.failed = append(v.failed, m) // it took kinglet too long: no loss in silence
			continue
		}
		var next time.Time
		if i+1 < len(served) {
			next = served[i+1].asked
		}
		if inFlight(s, next, ends) {
			v.excused = append(v.excused, m)
		} else {
			v.lost = append(v.lost, m)
		}
	}
}

// times finds out at which time scrape n was made, from the series whose
// values tell n: all have to agree.
func times(id int, all map[seriesKey]*series, altered *[]string) map[int]int64 {
	when := map[int]int64{}
	for k, x := range all {
		if k.Target != id || k.Name == upName || k.Name == valueName && k.I%3 != 0 {
			continue
		}
		for j, bits := range x.bits {
			if bits == staleBits {
				continue
			}
			n := int(math.Float64frombits(bits))
			if ms, ok := when[n]; ok && ms != x.ms[j] {
				*altered = append(*altered, fmt.Sprintf("%v of scrape %d is at %d, others at %d", k, n, x.ms[j], ms))
			}
			when[n] = x.ms[j]
		}
	}
	return when
}

// values wants every sample of a series to be of a scrape, and worth what it
// was worth there.
func (v *verdict) values(k seriesKey, x *series, known map[int64]int) {
	for j, ms := range x.ms {
		bits := x.bits[j]
		n, ok := known[ms]
		switch {
		case bits == staleBits || k.Name == upName && bits == 0:
			if ok && k.Name == upName { // others may end while their target lives
				v.altered = append(v.altered, fmt.Sprintf("%v at %d is down or stale, but the scrape has samples", k, ms))
			}
		case !ok && k.Name == upName: // a scrape of which nothing else arrived
		case !ok:
			v.altered = append(v.altered, fmt.Sprintf("%v at %d: no scrape was then", k, ms))
		case math.Float64bits(valueAt(k, n)) != bits:
			v.altered = append(v.altered, fmt.Sprintf("%v at %d is %v, was served as %v", k, ms, math.Float64frombits(bits), valueAt(k, n)))
		}
	}
}

func has(x *series, ms int64) bool {
	if x == nil {
		return false
	}
	i, ok := slices.BinarySearch(x.ms, ms)
	return ok && x.bits[i] != staleBits
}

// near finds the sample of up, of that value, from when a scrape was begun: a
// little before the target was asked.
func near(up *series, s scrape, value float64) (ms int64, ok bool) {
	if up == nil {
		return 0, false
	}
	i, _ := slices.BinarySearch(up.ms, s.asked.Add(-50*time.Millisecond).UnixMilli())
	if i == len(up.ms) || up.ms[i] > s.asked.UnixMilli() || up.bits[i] != math.Float64bits(value) {
		return 0, false
	}
	return up.ms[i], true
}

// inFlight reports whether a scrape was the last that a kinglet asked for, and
// answered within the window before its end, or later; next is when the target
// was asked again.
func inFlight(s scrape, next time.Time, ends []end) bool {
	return slices.ContainsFunc(ends, func(e end) bool {
		return s.served.After(e.at.Add(-suite.window)) &&
			(e.again.IsZero() || s.asked.Before(e.again) && (next.IsZero() || next.After(e.again)))
	})
}

// beforeEnd is how long before the nearest end that was.
func beforeEnd(served time.Time, ends []end) time.Duration {
	nearest := time.Duration(math.MaxInt64)
	for _, e := range ends {
		if d := e.at.Sub(served); d.Abs() < nearest.Abs() {
			nearest = d
		}
	}
	return nearest
}

// check fails the test if anything is lost or altered.
func (v verdict) check(t *testing.T) {
	t.Helper()
	t.Log(v)
	if len(v.lost) > 0 {
		t.Errorf("of %d scrapes lost: %d\n%s", v.scrapes, len(v.lost), some(v.lost))
	}
	if len(v.altered) > 0 {
		t.Errorf("altered: %d\n%s", len(v.altered), some(v.altered))
	}
}

// inOrder fails the test if a sample came behind a newer one of its series.
func (v verdict) inOrder(t *testing.T) {
	t.Helper()
	if v.late > 0 {
		t.Errorf("%d samples came out of order, the first one: %s", v.late, v.firstLate)
	}
}

// once fails the test if a sample came twice.
func (v verdict) once(t *testing.T) {
	t.Helper()
	if v.duplicates > 0 {
		t.Errorf("%d samples came twice", v.duplicates)
	}
}

// lostSamples is how many samples are missing, excusedSamples how many of those
// that were in flight.
func (v verdict) lostSamples() int    { return count(v.lost) }
func (v verdict) excusedSamples() int { return count(v.excused) }

func count(all []missing) (samples int) {
	for _, m := range all {
		samples += m.samples
	}
	return samples
}

func (v verdict) String() string {
	longest := time.Duration(0)
	for _, m := range v.excused {
		longest = max(longest, m.before)
	}
	return fmt.Sprintf("%d samples of %d scrapes served: %d scrapes lost (%d samples), %d in flight at an end (%d samples, at most %v before it), "+
		"%d reported as failed, %d altered, %d late, %d duplicates", v.samples, v.scrapes, len(v.lost), v.lostSamples(), len(v.excused), v.excusedSamples(), longest.Round(100*time.Microsecond),
		len(v.failed), len(v.altered), v.late, v.duplicates)
}

func some[T any](all []T) string {
	const most = 12
	var b strings.Builder
	for i, one := range all {
		if i == most {
			fmt.Fprintf(&b, "  and %d more\n", len(all)-most)
			break
		}
		fmt.Fprintf(&b, "  %v\n", one)
	}
	return b.String()
}
