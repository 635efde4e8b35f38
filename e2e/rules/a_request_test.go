//go:build e2e

package rules

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Section A: the request.
func TestRequest(t *testing.T) {
	t.Parallel()
	plain := text("m 1\n")

	check(t, "RW-01", "a POST to the URL as configured, path and query whole", Case{
		Scrapes: plain, Writer: Writer{Path: "/deep/path/push?x=1&y=%2Fz"},
		Want: []Want{everyRequest(func(r Request) error {
			if r.Method != http.MethodPost || r.URI != "/deep/path/push?x=1&y=%2Fz" {
				return fmt.Errorf("%s %s", r.Method, r.URI)
			}
			return nil
		})},
	})
	check(t, "RW-02", "the body is snappy in block format around one message", Case{
		Scrapes: plain,
		Want: []Want{values("m", 1), everyRequest(func(r Request) error { // decoding is by block format
			if strings.HasPrefix(string(r.Raw), "\xff\x06\x00\x00sNaPpY") {
				return fmt.Errorf("the framed format")
			}
			return nil
		})},
	})
	check(t, "RW-03", "Content-Encoding is snappy", Case{Scrapes: plain, Want: []Want{header("Content-Encoding", "snappy")}})
	check(t, "RW-04", "Content-Type names the 1.0 message", Case{
		Scrapes: plain, Writer: Writer{Message: "1.0"},
		Want: []Want{values("m", 1), everyRequest(func(r Request) error {
			got := strings.ReplaceAll(r.Header.Get("Content-Type"), " ", "")
			if got != "application/x-protobuf" && got != "application/x-protobuf;proto=prometheus.WriteRequest" {
				return fmt.Errorf("Content-Type: %s", got)
			}
			return nil
		})},
	})
	check(t, "RW-04", "Content-Type names the 2.0 message", Case{
		Scrapes: plain, Writer: Writer{Message: "2.0"},
		Want: []Want{values("m", 1), header("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")},
	})
	check(t, "RW-05", "the version header of 1.0 is 0.1.0", Case{
		Scrapes: plain, Writer: Writer{Message: "1.0"}, Want: []Want{header("X-Prometheus-Remote-Write-Version", "0.1.0")},
	})
	check(t, "RW-05", "the version header of 2.0 is 2.0.0", Case{
		Scrapes: plain, Writer: Writer{Message: "2.0"}, Want: []Want{header("X-Prometheus-Remote-Write-Version", "2.0.0")},
	})
	product := regexp.MustCompile(`^[A-Za-z]+/\S+`)
	check(t, "RW-06", "User-Agent names product and version", Case{
		Scrapes: plain,
		Want: []Want{everyRequest(func(r Request) error {
			if ua := r.Header.Get("User-Agent"); !product.MatchString(ua) || strings.HasPrefix(ua, "Go-http-client") {
				return fmt.Errorf("User-Agent: %q", ua)
			}
			return nil
		})},
	})
	check(t, "RW-07", "a custom header is sent", Case{
		Scrapes: plain, Writer: Writer{Headers: map[string]string{"X-Scope-OrgID": "tenant 1"}},
		Want: []Want{header("X-Scope-OrgID", "tenant 1")},
	})
	for _, reserved := range []string{
		"Content-Encoding", "Content-Type", "X-Prometheus-Remote-Write-Version", "User-Agent", "Content-Length",
		"Connection", "Keep-Alive", "Transfer-Encoding", "TE", "Trailer", "Upgrade", "Accept-Encoding",
		"Proxy-Authorization", "WWW-Authenticate",
	} {
		check(t, "RW-07", reserved+" as a custom header does not load", Case{
			Scrapes: plain, Writer: Writer{Headers: map[string]string{reserved: "x"}},
			Run: func(w *World) error { return w.refusesToStart(reserved) },
		})
	}
	check(t, "RW-08", "every request carries all labels again", Case{
		Scrapes: text(`m{a="1"} 1` + "\n"), Until: posts(3),
		Want: []Want{everyRequest(func(r Request) error {
			for _, s := range r.Samples {
				if s.Get("__name__") == "" || s.Get("job") == "" || s.Get("instance") == "" {
					return fmt.Errorf("incomplete: %s", s.Key())
				}
			}
			return nil
		})},
	})
	check(t, "RW-09", "one connection serves many requests, refused ones too", Case{
		Scrapes: plain, Until: posts(5),
		Writer: Writer{Answers: []Answer{{}, {Status: 400, Body: strings.Repeat("no ", 500)}}},
		Want: []Want{func(w *World) error {
			remotes := map[string]bool{}
			for _, r := range w.requests(0) {
				remotes[r.Remote] = true
			}
			if len(remotes) > 1 {
				return fmt.Errorf("%d connections for %d requests", len(remotes), len(w.requests(0)))
			}
			return nil
		}},
	})
	check(t, "RW-10", "an attempt that gets no answer times out and is made again", Case{
		Scrapes: []Page{counting}, Writer: Writer{Timeout: time.Second, Answers: []Answer{{Hang: true}}},
		Until: rounds(3), Want: []Want{noneMissing(2), retriedUntilTaken},
	})
	check(t, "RW-11", "Retry-Attempt, if sent, counts retries from 1", Case{
		Scrapes: plain, Writer: Writer{Answers: statuses(500, 500, 500)},
		Want: []Want{func(w *World) error {
			for i, r := range w.requests(0)[:4] {
				got, want := r.Header.Get("Retry-Attempt"), strconv.Itoa(i)
				if i == 0 && got != "" || i > 0 && got != "" && got != want {
					return fmt.Errorf("request %d: Retry-Attempt %q", i, got)
				}
			}
			return nil
		}},
	})
	check(t, "RW-12", "no request is sent without series", Case{
		Scrapes: plain, Writer: Writer{Relabel: []Rule{{Source: []string{"__name__"}, Regex: ptr("m|up|scrape_.*"), Action: "drop"}}},
		Until: scrapes(4),
		Want: []Want{func(w *World) error {
			for _, r := range w.requests(0) {
				if r.Series == 0 && len(r.Metadata) == 0 {
					return fmt.Errorf("request %d is empty", r.N)
				}
			}
			return nil
		}},
	})
}

// refusesToStart holds if the agent ends by itself, not well, and says why.
func (w *World) refusesToStart(names string) error {
	if err := w.proc.exitsBy(10 * time.Second); err != nil {
		return fmt.Errorf("%w with a configuration it must refuse", err)
	}
	if w.proc.err == nil {
		return fmt.Errorf("exit 0 with a configuration it must refuse")
	}
	if !strings.Contains(strings.ToLower(w.proc.log.text()), strings.ToLower(names)) {
		return fmt.Errorf("the log does not name %s", names)
	}
	return nil
}
