//go:build e2e

package rules

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The Accept header of the reference, and the one with protobuf first.
const (
	acceptText = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5," +
		"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
	acceptProto = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6," +
		"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4," +
		"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)

var (
	allText  = []string{"OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText1.0.0", "PrometheusText0.0.4"}
	allProto = append([]string{"PrometheusProto"}, allText...)
)

// Section M: the scrape request.
func TestScrapeRequest(t *testing.T) {
	t.Parallel()
	plain := text("m 1\n")
	check(t, "RW-104", "GET on the target with its query", Case{
		Scrapes: plain, Job: Job{Path: "/deep/metrics", Query: "a=1&b=x+y"},
		Want: []Want{values("m", 1), everyScrape(func(s Scrape) error {
			if s.Method != "GET" || s.URI != "/deep/metrics?a=1&b=x+y" {
				return fmt.Errorf("%s %s", s.Method, s.URI)
			}
			return nil
		})},
	})
	for _, status := range []int{201, 204, 206, 302, 304, 400, 401, 404, 500, 503} {
		page := Page{Status: status, Body: "m 1\n"}
		if status == 204 || status == 304 {
			page.Body = ""
		}
		check(t, "RW-104", fmt.Sprintf("status %d fails the scrape", status), Case{Scrapes: []Page{page}, Want: []Want{values("up", 0, 0), none("m")}})
	}
	redirect := []Page{{Redirect: "/moved/", Body: "m 1\n"}}
	check(t, "RW-104", "a redirect is followed", Case{Scrapes: redirect, Want: []Want{values("m", 1), values("up", 1)}})
	check(t, "RW-104", "unless turned off", Case{Scrapes: redirect, Job: Job{NoRedirect: true}, Want: []Want{none("m"), values("up", 0)}})
	check(t, "RW-105", "Accept lists the formats by preference", Case{
		Scrapes: plain, Want: []Want{acceptIs(acceptText)},
		Unless: map[string]Deviation{"kinglet": {
			Claim: "text from a target of the same node is the default; what is offered goes down in steps of q", Want: []Want{acceptDescends},
		}},
	})
	check(t, "RW-105", "Accept lists the configured formats by preference", Case{
		Scrapes: plain, Job: Job{Protocols: allText}, Want: []Want{acceptIs(acceptText), acceptDescends},
	})
	check(t, "RW-106", "protobuf goes first when it is wanted", Case{
		Scrapes: plain, Job: Job{Protocols: allProto}, Want: []Want{acceptIs(acceptProto), acceptDescends},
	})
	check(t, "RW-107", "no format is offered that is a draft", Case{
		Scrapes: plain, Want: []Want{everyScrape(func(s Scrape) error {
			if strings.Contains(s.Header.Get("Accept"), "version=2") {
				return fmt.Errorf("Accept: %s", s.Header.Get("Accept"))
			}
			return nil
		})},
	})
	check(t, "RW-108", "escaping= goes with the formats of version 1.0.0 alone", Case{
		Scrapes: plain, Job: Job{Protocols: allProto}, Want: []Want{everyScrape(func(s Scrape) error {
			for _, part := range strings.Split(s.Header.Get("Accept"), ",") {
				if strings.Contains(part, "escaping=") != strings.Contains(part, "version=1.0.0") {
					return fmt.Errorf("Accept: ...%s", part)
				}
			}
			return nil
		})},
	})
	check(t, "RW-109", "gzip is asked for", Case{
		Scrapes: plain, Want: []Want{scrapeHeader("Accept-Encoding", regexp.MustCompile(`^gzip$`))},
		Unless: map[string]Deviation{"kinglet": {
			Claim: "a target of the same node is not asked for gzip", Want: []Want{values("m", 1), scrapeHeader("Accept-Encoding", regexp.MustCompile(`^(identity)?$`))},
		}},
	})
	check(t, "RW-109", "a body is gunzipped if its header says so", Case{
		Scrapes: []Page{{Body: "m 1\n", Gzip: true}, {Body: "m 2\n"}}, Want: []Want{values("m", 1, 2)},
	})
	check(t, "RW-110", "the timeout header holds seconds", Case{
		Scrapes: plain, Want: []Want{scrapeHeader("X-Prometheus-Scrape-Timeout-Seconds", regexp.MustCompile(`^1$`))},
	})
	check(t, "RW-110", "in shortest decimal form", Case{
		Scrapes: plain, Job: Job{Timeout: 500 * time.Millisecond},
		Want: []Want{scrapeHeader("X-Prometheus-Scrape-Timeout-Seconds", regexp.MustCompile(`^0\.5$`))},
	})
	check(t, "RW-111", "User-Agent names the agent", Case{
		Scrapes: plain, Want: []Want{scrapeHeader("User-Agent", regexp.MustCompile(`(?i)^(kinglet|prometheus|vm_promscrape|vmagent|categraf)/?`))},
	})
	check(t, "RW-112", "the timeout covers the whole body", Case{
		Scrapes: []Page{{Body: "m 1\n", Dribble: true}}, Job: Job{Timeout: 400 * time.Millisecond}, Until: rounds(3),
		Want: []Want{values("up", 0, 0, 0), none("m"), evenlySpaced(1000, 900), func(w *World) error {
			took, err := w.one("scrape_duration_seconds")
			if err != nil {
				return err
			}
			if took[0].Value < 0.35 || took[0].Value > 0.95 {
				return fmt.Errorf("the scrape took %v s, want about 0.4", took[0].Value)
			}
			return nil
		}},
	})
	check(t, "RW-112", "a timeout above the interval is refused, or cut to it", Case{
		Scrapes: plain, Jobs: []Job{{Name: "odd", Scrapes: []Page{{Hang: true}}, Interval: time.Second, Timeout: 5 * time.Second}},
		Run: func(w *World) error {
			return w.wait(15*time.Second, func(w *World) error {
				if w.proc.ended() && w.proc.err != nil {
					return nil // the whole configuration is refused
				}
				return scrapes(5)(w)
			})
		},
		Want: []Want{func(w *World) error {
			for _, s := range w.targets[1].seen() {
				seconds, err := strconv.ParseFloat(s.Header.Get("X-Prometheus-Scrape-Timeout-Seconds"), 64)
				if err != nil || seconds > 1 {
					return fmt.Errorf("scraped with a timeout of %q s and an interval of 1 s", s.Header.Get("X-Prometheus-Scrape-Timeout-Seconds"))
				}
			}
			return nil
		}},
	})
}

func acceptIs(want string) Want {
	return everyScrape(func(s Scrape) error {
		if got := strings.ReplaceAll(s.Header.Get("Accept"), " ", ""); got != want {
			return fmt.Errorf("Accept: %s, want %s", got, want)
		}
		return nil
	})
}

// acceptDescends holds if each format has a q one tenth below the one before,
// and */* is last.
func acceptDescends(w *World) error {
	q := regexp.MustCompile(`;\s*q=0\.(\d)$`)
	return everyScrape(func(s Scrape) error {
		parts := strings.Split(s.Header.Get("Accept"), ",")
		last := 0
		for i, p := range parts {
			m := q.FindStringSubmatch(p)
			if m == nil {
				return fmt.Errorf("Accept: no q in %q", p)
			}
			n, _ := strconv.Atoi(m[1])
			if i > 0 && n != last-1 {
				return fmt.Errorf("Accept: %s: q does not go down by a tenth", s.Header.Get("Accept"))
			}
			last = n
		}
		if !strings.HasPrefix(strings.TrimSpace(parts[len(parts)-1]), "*/*") {
			return fmt.Errorf("Accept: %s does not end with */*", s.Header.Get("Accept"))
		}
		return nil
	})(w)
}

func scrapeHeader(name string, want *regexp.Regexp) Want {
	return everyScrape(func(s Scrape) error {
		if got := s.Header.Get(name); !want.MatchString(got) {
			return fmt.Errorf("%s: %q, want %s", name, got, want)
		}
		return nil
	})
}
