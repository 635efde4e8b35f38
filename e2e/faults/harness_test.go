//go:build e2e

package faults

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestTheLedgerNotices proves the instrument: what is done here to samples by
// hand has to be found.
func TestTheLedgerNotices(t *testing.T) {
	begin := time.Now()
	at := func(n int) time.Time { return begin.Add(time.Duration(n) * time.Second) }
	value7 := seriesKey{valueName, 0, 7}
	for _, tt := range []struct {
		name string
		with func(s *sink)
		ends []end
		want string // in the verdict
	}{
		{"nothing is wrong", func(*sink) {}, nil, " 0 scrapes lost (0 samples), 0 in flight at an end (0 samples, at most 0s before it), 0 reported as failed, 0 altered, 0 late, 0 duplicates"},
		{"a scrape was reported as failed", func(s *sink) {
			s.without(seriesKey{}, 3)
			s.book(seriesKey{upName, 0, 0}, at(3).UnixMilli()-2, 0)
		}, nil, " 0 scrapes lost (0 samples), 0 in flight at an end (0 samples, at most 0s before it), 1 reported as failed, 0 altered"},
		{"one sample is missing", func(s *sink) { s.without(value7, 3) }, nil, " 1 scrapes lost (1 samples), 0 in flight at an end (0 samples"},
		{"a scrape is missing but for up", func(s *sink) {
			for k := range s.all {
				if k.Name != upName {
					s.without(k, 3)
				}
			}
		}, nil, " 1 scrapes lost (11 samples), 0 in flight"},
		{"a whole scrape is missing", func(s *sink) { s.without(seriesKey{}, 3) }, nil, " 1 scrapes lost (12 samples), 0 in flight at an end (0 samples"},
		{
			"the last scrape before a kill is missing", func(s *sink) { s.without(seriesKey{}, 3) },
			[]end{{at(3).Add(suite.window / 2), at(3).Add(suite.window)}}, " 0 scrapes lost (0 samples), 1 in flight at an end (12 samples",
		},
		{
			"the last scrape was long before the kill", func(s *sink) { s.without(seriesKey{}, 3) },
			[]end{{at(3).Add(suite.window * 2), at(3).Add(suite.window * 3)}}, " 1 scrapes lost",
		},
		{
			"the last but one before a kill is missing", func(s *sink) { s.without(seriesKey{}, 3) },
			[]end{{at(4).Add(suite.window / 2), at(4).Add(suite.window)}}, " 1 scrapes lost",
		},
		{"a value that moves is altered", func(s *sink) { s.all[value7].bits[2]++ }, nil, "1 altered"},
		{"a value that stands still is altered", func(s *sink) { s.all[seriesKey{valueName, 0, 8}].bits[2]++ }, nil, "1 altered"},
		{"a time is altered", func(s *sink) { s.all[value7].ms[2]++ }, nil, "1 altered"},
		{"a sample comes twice", func(s *sink) { s.book(value7, at(2).UnixMilli(), math.Float64bits(valueAt(value7, 2))) }, nil, "0 altered, 0 late, 1 duplicates"},
		{"a sample comes twice with another value", func(s *sink) { s.book(value7, at(2).UnixMilli(), 0) }, nil, "1 altered"},
		{"a sample comes late", func(s *sink) {
			s.without(value7, 2)
			s.book(value7, at(2).UnixMilli(), math.Float64bits(valueAt(value7, 2)))
		}, nil, " 0 scrapes lost (0 samples), 0 in flight at an end (0 samples, at most 0s before it), 0 reported as failed, 0 altered, 1 late"},
		{"a sample of no scrape comes", func(s *sink) { s.book(value7, at(9).UnixMilli()+1, staleBits+1) }, nil, "1 altered"},
		{"a stale marker comes in place of a sample", func(s *sink) { s.all[value7].bits[2] = staleBits }, nil, " 1 scrapes lost"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ts := &targets{all: []*target{{}}}
			s := &sink{all: map[seriesKey]*series{}}
			for n := 1; n <= 5; n++ {
				one := scrape{n: n, asked: at(n), served: at(n), series: 9}
				ts.all[0].scrapes = append(ts.all[0].scrapes, one)
				for _, k := range one.keys(0) {
					s.book(k, at(n).UnixMilli(), math.Float64bits(valueAt(k, n)))
				}
			}
			tt.with(s)
			if v := judge(ts, s, tt.ends).String(); !strings.Contains(v, tt.want) {
				t.Errorf("got  %s\nwant %s", v, tt.want)
			}
		})
	}
}

// without takes a sample of scrape n away, or all of them.
func (s *sink) without(k seriesKey, n int) {
	for key, x := range s.all {
		if k == (seriesKey{}) || k == key {
			x.ms = append(x.ms[:n-1:n-1], x.ms[n:]...)
			x.bits = append(x.bits[:n-1:n-1], x.bits[n:]...)
		}
	}
}

// TestInHealthNothingIsLost is the baseline: nobody does any harm.
func TestInHealthNothingIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.start(t)
	w.served(t, 10)
	v := w.settle(t, 20*time.Second)
	v.check(t)
	v.inOrder(t)
	v.once(t)
}
