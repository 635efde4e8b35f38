//go:build e2e

package sidebyside

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// script is all targets. What a page says depends on the number of the
// request alone, so every side is served the same.
func script() []*target {
	return slices.Concat(
		churnTargets(), failureTargets(), limitTargets(), timestampTargets(), labelTargets(), formatTargets(),
		histogramTargets(), reloadTargets(),
	)
}

// plain is a target of its own job, called as it is.
func plain(name string, j job, page func(s *request) page) *target {
	j.name = name
	return &target{name: name, job: j, page: page}
}

// text makes a page of the text format.
func text(lines ...string) page { return page{body: strings.Join(lines, "\n") + "\n"} }

// counting is a page of a few families whose values move; restarted is true
// where its process began anew at that request.
func counting(k int) []string {
	return []string{
		"# HELP requests_total Requests by code.", "# TYPE requests_total counter",
		fmt.Sprintf(`requests_total{code="200",method="get"} %d`, 10*k),
		fmt.Sprintf(`requests_total{method="post",code="500"} %d`, k/3),
		"# TYPE temperature gauge", fmt.Sprintf("temperature %v", 20.5+float64(k%7)/10),
		"constant 1",
	}
}

// within is true for k from first to last.
func within(k, first, last int) bool { return first <= k && k <= last }

func churnTargets() []*target {
	restarting := plain("restarting", job{}, func(s *request) page {
		life := s.life()
		lines := append(counting(life), "# TYPE latency histogram")
		for i, le := range []string{"0.1", "0.5", "2.5", "+Inf"} {
			lines = append(lines, fmt.Sprintf(`latency_bucket{le=%q} %d`, le, life*(i+1)))
		}
		lines = append(lines, fmt.Sprintf("latency_sum %v", 0.3*float64(life)), fmt.Sprintf("latency_count %d", 4*life),
			"# TYPE size summary", fmt.Sprintf(`size{quantile="0.5"} %d`, 100+life), `size{quantile="0.99"} NaN`,
			fmt.Sprintf("size_sum %d", 1000*life), fmt.Sprintf("size_count %d", life))
		return text(lines...)
	})
	return []*target{
		restarting,
		plain("steady", job{}, func(s *request) page { return text(counting(s.K)...) }),
		plain("churning", job{}, churning),
		plain("shuffled", job{}, shuffled),
		plain("large", job{}, large),
		plain("empty-pages", job{}, emptyPages),
		plain("slow", job{}, func(s *request) page {
			p := text(counting(s.K)...)
			p.wait = time.Duration(s.K%4) * 100 * time.Millisecond
			return p
		}),
		plain("extra", job{extra: true, sampleLimit: 100, bodyLimit: "64KB"}, func(s *request) page {
			if s.K == 20 {
				return page{body: strings.Repeat("# a long comment\n", 5000)}
			}
			if s.K == 30 {
				return page{status: 500}
			}
			return text(counting(s.K)...)
		}),
		{
			name: "leisurely", job: job{name: "leisurely", interval: 2 * time.Second}, least: rounds/2 - 2,
			page: func(s *request) page { return text(counting(s.K)...) },
		},
	}
}

// churning has series that come and go at every pace, and some seen once.
func churning(s *request) page {
	lines := []string{"stays 1"}
	for i := range 12 {
		if s.K/(i+1)%2 == 0 {
			lines = append(lines, fmt.Sprintf(`comes_and_goes{every="%d"} %d`, i+1, s.K))
		}
	}
	lines = append(lines, fmt.Sprintf(`seen_once{request="%d"} 1`, s.K))
	if within(s.K, 20, 24) {
		for i := range 300 {
			lines = append(lines, fmt.Sprintf(`wave{i="%d"} %d`, i, s.K))
		}
	}
	return text(lines...)
}

// shuffled has its lines, and labels within them, in an order that changes.
func shuffled(s *request) page {
	var lines []string
	for i := range 30 {
		n := (i*7 + s.K*11) % 30
		a, b := fmt.Sprintf(`a="%d"`, n), fmt.Sprintf(`b="%d"`, n%3)
		if (s.K+n)%5 == 0 {
			a, b = b, a
		}
		lines = append(lines, fmt.Sprintf("moved{%s,%s} %d", a, b, s.K*n))
	}
	return text(lines...)
}

// large is a page of more series than one request holds.
func large(s *request) page {
	if s.K == 25 {
		return page{status: 503}
	}
	var lines []string
	for i := range 2500 {
		if i%100 != s.K%100 {
			lines = append(lines, fmt.Sprintf(`large{pod="pod-%d",container="main"} %d`, i, i+s.K*(i%2)))
		}
	}
	return text(lines...)
}

func emptyPages(s *request) page {
	switch {
	case within(s.K, 10, 12):
		return page{}
	case s.K == 16:
		return page{kind: "-"}
	case s.K == 20:
		return text("# only a comment")
	case s.K == 24:
		return page{body: "\n"}
	case s.K == 28:
		return page{body: " \t\n\n  \n"}
	case s.K == 32:
		return page{body: strings.Join(counting(s.K), "\n")} // no end of line
	}
	return text(counting(s.K)...)
}

func reloadTargets() []*target {
	// Only the names of jobs tell targets' configurations apart.
	moving := job{name: "moving"}
	good := func(s *request) page { return text(counting(s.K)...) }
	leaver := &target{name: "leaver", job: moving, page: good, least: 35, after: map[int]step{
		14: {delay: 500 * time.Millisecond, remove: "leaver", thenDelay: 6 * time.Second, thenAdd: "leaver"},
	}}
	stayer := &target{name: "stayer", job: moving, page: good, after: map[int]step{
		20: {delay: 500 * time.Millisecond, add: "joiner"},
	}}
	joiner := &target{name: "joiner", job: moving, page: good, joins: true, least: 25}
	// It is back before its series are ended. The interval leaves time for that.
	flitting := job{name: "flitting", interval: 3 * time.Second}
	flitter := &target{name: "flitter", job: flitting, page: good, least: 14, after: map[int]step{
		5: {delay: 1500 * time.Millisecond, remove: "flitter", thenDelay: 3 * time.Second, thenAdd: "flitter"},
	}}
	dismissed := plain("dismissed", job{}, good) // with its whole job
	dismissed.least = 16
	dismissed.after = map[int]step{15: {delay: 500 * time.Millisecond, remove: "dismissed"}}
	return []*target{
		stayer, leaver, joiner, flitter, {name: "flitters-neighbor", job: flitting, page: good, least: 15}, dismissed,
	}
}
