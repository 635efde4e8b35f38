//go:build e2e

package sidebyside

import (
	"fmt"
	"strings"
	"time"
)

func failureTargets() []*target {
	refusing := plain("refusing", job{}, func(s *request) page { return text(counting(s.K)...) })
	refusing.after = map[int]step{
		10: {delay: 300 * time.Millisecond, refuseFor: 3*time.Second + 300*time.Millisecond},
		30: {delay: 300 * time.Millisecond, refuseFor: time.Second + 300*time.Millisecond},
	}
	return []*target{
		refusing,
		plain("statuses", job{}, statuses),
		plain("hanging", job{}, hanging),
		plain("truncated", job{}, truncated),
		plain("down-at-first", job{}, func(s *request) page {
			if s.K < 5 {
				return page{status: 503, body: "starting\n"}
			}
			return text(counting(s.K)...)
		}),
		plain("never-up", job{}, func(*request) page { return page{status: 404} }),
		plain("bad-lines", job{}, badLines),
		plain("bad-late", job{}, badLate),
		plain("content-types", job{asPrometheus: map[string]any{"fallback_scrape_protocol": "none"}}, contentTypes),
		plain("content-types-fallback", job{fallback: "PrometheusText0.0.4"}, contentTypes),
		plain("zipped", job{}, zippedPages),
	}
}

// statuses fails with every kind of status; series are missing afterwards.
func statuses(s *request) page {
	codes := map[int]int{10: 500, 11: 500, 12: 500, 18: 404, 22: 204, 26: 206, 30: 304, 34: 401, 38: 429, 39: 500}
	p := text(counting(s.K)...)
	if s.K == 13 || s.K == 40 {
		p = text("constant 1") // two series end while the target is down
	}
	if p.status = codes[s.K]; p.status == 204 || p.status == 304 {
		p.body = ""
	}
	p.redirect = s.K == 43
	return p
}

func hanging(s *request) page {
	p := text(counting(s.K)...)
	p.hang = s.K == 8 || s.K == 9 || s.K == 30
	p.stall = s.K == 20 || s.K == 40
	return p
}

func truncated(s *request) page {
	p := text(counting(s.K)...)
	switch s.K {
	case 10, 30, 31:
		p.cut = true
	case 20:
		p.cut, p.body = true, ""
	case 25:
		p.garble = true
	case 40:
		p.cut, p.gzip = true, true
	}
	return p
}

// faultyLines each fail a scrape.
func faultyLines() []string {
	return []string{
		"metric{ 1", "metric 1 2 3", "= 1", `metric{a="1",a="2"} 1`, "metric{a=\"\xff\"} 1", "metric 0x1p3", "metric 1_000",
		"metric StaleNaN", `{a="b"} 1`, "metric", `metric{a="b} 1`, "metric true", "# TYPE metric nonsense", "metric 1 1.5",
		`metric{a=b} 1`, `metric{"a"} 1`, "metric{=\"b\"} 1", "metric 1e999x",
	}
}

// badLines has its fault before any series.
func badLines(s *request) page {
	lines := counting(s.K)
	faults := faultyLines()
	if n := s.K - 10; n >= 0 && n%2 == 0 && n/2 < len(faults) {
		lines = append([]string{faults[n/2]}, lines...)
	}
	return text(lines...)
}

// badLate has faults behind good lines.
func badLate(s *request) page {
	lines := counting(s.K)
	if s.K == 10 || s.K == 20 || s.K == 21 {
		lines = append(lines, fmt.Sprintf("fresh_before_the_fault{k=\"%d\"} 1", s.K), "metric{ 1", "never_read 1")
	}
	return text(lines...)
}

func contentTypes(s *request) page {
	p := text(counting(s.K)...)
	switch s.K {
	case 10:
		p.kind = "text/html; charset=utf-8"
	case 12:
		p.kind = "application/json"
	case 14:
		p.kind = "-"
	case 18:
		p.kind = "text/plain; version=9.9.9"
	case 20:
		p.kind = `text/plain; charset="`
	case 22:
		p.kind = protobufType
	case 26:
		p.kind = "text/plain"
	case 28:
		p.kind = "TEXT/PLAIN"
	case 30:
		p.kind = "nonsense"
	}
	return p
}

// zippedPages come compressed whether asked for or not.
func zippedPages(s *request) page {
	p := text(counting(s.K)...)
	p.gzip = s.K%2 == 0
	switch s.K {
	case 10:
		p.raw, p.gzip = true, false // says gzip, is not
	case 20:
		p.body, p.raw, p.gzip = string(zipped([]byte(p.body)))[:60], true, false
	case 30:
		p.body = strings.Repeat("# zeroes compress well\n", 20000) + p.body
	}
	return p
}

func limitTargets() []*target {
	return []*target{
		plain("sample-limit", job{sampleLimit: 5}, func(s *request) page {
			if s.K == 10 || within(s.K, 20, 22) || s.K == 30 {
				return text(append([]string{"a 1", "b 1", "c 1", "d 1"}, counting(s.K)...)...)
			}
			return text(append([]string{"a 1"}, counting(s.K)...)...)
		}),
		plain("sample-limit-drops", job{sampleLimit: 5, relabel: []rule{{Source: []string{"__name__"}, Regex: "noise_.*", Action: "drop"}}},
			func(s *request) page {
				lines := counting(s.K)
				for i := range 10 {
					lines = append(lines, fmt.Sprintf("noise_%d 1", i))
				}
				return text(lines...)
			}),
		plain("label-limit", job{labelLimit: 6}, func(s *request) page {
			if within(s.K, 10, 11) {
				return text(append([]string{`wide{a="1",b="2",c="3"} 1`}, counting(s.K)...)...)
			}
			return text(counting(s.K)...)
		}),
		plain("name-limit", job{nameLimit: 20}, func(s *request) page {
			if within(s.K, 10, 11) {
				return text(append([]string{`long{a_label_name_of_31_characters="1"} 1`}, counting(s.K)...)...)
			}
			return text(counting(s.K)...)
		}),
		plain("value-limit", job{valueLimit: 40}, func(s *request) page {
			switch s.K {
			case 10, 11:
				return text(append([]string{`long{a="` + strings.Repeat("v", 41) + `"} 1`}, counting(s.K)...)...)
			case 20:
				return text(append([]string{strings.Repeat("n", 41) + " 1"}, counting(s.K)...)...)
			case 30:
				return text(append([]string{`fits{a="` + strings.Repeat("v", 40) + `"} 1`}, counting(s.K)...)...)
			}
			return text(counting(s.K)...)
		}),
		plain("body-limit", job{bodyLimit: "2KB"}, func(s *request) page {
			p := text(counting(s.K)...)
			if s.K == 10 || s.K == 11 || s.K == 20 {
				p.body = strings.Repeat("# filling the page\n", 150) + p.body
				p.gzip = s.K == 20
			}
			return p
		}),
	}
}
