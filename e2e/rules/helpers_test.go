//go:build e2e

package rules

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"
)

// ptr is &v, for options that can be absent.
func ptr[T any](v T) *T { return &v }

// lines is n series of one metric: name{i="0"} value, ...
func lines(name string, n int, value float64) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s{i=\"%d\"} %g\n", name, i, value)
	}
	return b.String()
}

// counting is a page whose metric m counts the scrapes from 1, so that every
// scrape can be told from the others.
var counting = Page{Make: func(n int, _ int64) string { return fmt.Sprintf("m %d\n", n+1) }}

// noneMissing holds if m, served by counting, arrived with every number from 1
// to n, once each or repeated, and in order.
func noneMissing(n int) Want { return noneMissingAt(0, n) }

func noneMissingAt(receiver, n int) Want {
	return func(w *World) error {
		found, err := w.findAt(receiver, "m")
		if err != nil {
			return err
		}
		if len(found) != 1 {
			return fmt.Errorf("%d series m, want one", len(found))
		}
		for _, samples := range found {
			next := 1.0
			for _, s := range samples {
				switch {
				case s.Value == next:
					next++
				case s.Value > next:
					return fmt.Errorf("m %g is missing; arrived %s", next, printSamples(samples))
				}
			}
			if next <= float64(n) {
				return fmt.Errorf("m %g is missing; arrived %s", next, printSamples(samples))
			}
		}
		return nil
	}
}

// ordered holds if no series goes back in time, in acknowledged requests.
func ordered(w *World) error {
	last := map[string]int64{}
	for _, s := range w.samples(0) {
		if s.T == math.MinInt64 {
			continue
		}
		key := s.Key()
		if s.T < last[key] {
			return fmt.Errorf("%s: %d after %d", key, s.T, last[key])
		}
		last[key] = s.T
	}
	return nil
}

// oneValuePerTime holds if no series has two values at one time.
func oneValuePerTime(w *World) error {
	seen := map[string]uint64{}
	for _, s := range w.samples(0) {
		if s.T == math.MinInt64 || s.Hist != nil {
			continue
		}
		key := fmt.Sprintf("%s@%d", s.Key(), s.T)
		bits := math.Float64bits(s.Value)
		if before, ok := seen[key]; ok && before != bits {
			return fmt.Errorf("%s: both %v and %v", key, math.Float64frombits(before), s.Value)
		}
		seen[key] = bits
	}
	return nil
}

// retryGaps are the waits between an answer and the next request, for as long
// as requests fail.
func (w *World) retryGaps() []time.Duration {
	var gaps []time.Duration
	all := w.requests(0)
	for i := 1; i < len(all); i++ {
		if all[i-1].Acked() || all[i-1].Done.IsZero() {
			break
		}
		gaps = append(gaps, all[i].At.Sub(all[i-1].Done))
	}
	return gaps
}

// notRetried holds if the samples of request n were sent in no other request.
func notRetried(n int) Want {
	return func(w *World) error {
		all := w.requests(0)
		if len(all) <= n+1 {
			return fmt.Errorf("%d requests, want more than %d", len(all), n+1)
		}
		sent := map[string]bool{}
		for _, s := range all[n].Samples {
			sent[fmt.Sprintf("%s@%d", s.Key(), s.T)] = true
		}
		for _, r := range all[n+1:] {
			for _, s := range r.Samples {
				if sent[fmt.Sprintf("%s@%d", s.Key(), s.T)] {
					return fmt.Errorf("request %d repeats %.100s at %d of request %d", r.N, s.Key(), s.T, n)
				}
			}
		}
		return nil
	}
}

// retriedUntilTaken holds if every sample of every request that was refused is
// in a later request that was taken, with the same value.
func retriedUntilTaken(w *World) error {
	taken := map[string]uint64{}
	for _, s := range w.samples(0) {
		taken[fmt.Sprintf("%s@%d", s.Key(), s.T)] = math.Float64bits(s.Value)
	}
	refused := 0
	for _, r := range w.requests(0) {
		if r.Acked() || r.Done.IsZero() {
			continue
		}
		refused++
		for _, s := range r.Samples {
			bits, ok := taken[fmt.Sprintf("%s@%d", s.Key(), s.T)]
			if !ok {
				return fmt.Errorf("%s at %d of request %d was never taken", s.Key(), s.T, r.N)
			}
			if bits != math.Float64bits(s.Value) {
				return fmt.Errorf("%s at %d of request %d changed its value", s.Key(), s.T, r.N)
			}
		}
	}
	if refused == 0 {
		return errors.New("no request was refused; the scene did not happen")
	}
	return nil
}

var (
	metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// sortedUnique checks the order of labels and that none occurs twice.
func sortedUnique(labels []Label) error {
	if !sort.SliceIsSorted(labels, func(i, j int) bool { return labels[i].Name < labels[j].Name }) {
		return fmt.Errorf("labels are not sorted: %q", labels)
	}
	for i := 1; i < len(labels); i++ {
		if labels[i].Name == labels[i-1].Name {
			return fmt.Errorf("label %s occurs twice: %q", labels[i].Name, labels)
		}
	}
	return nil
}

// scrapeTimes are the timestamps of the first target's up, in order.
func (w *World) scrapeTimes() ([]int64, error) {
	ups, err := w.one(`up{instance="$host"}`)
	if err != nil {
		return nil, err
	}
	var times []int64
	for _, s := range ups {
		times = append(times, s.T)
	}
	return slices.Compact(times), nil
}
