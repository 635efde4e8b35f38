//go:build e2e

package rules

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Section G: success, failure, retries.
func TestRetries(t *testing.T) {
	t.Parallel()
	scene := []Page{counting}
	for _, status := range []int{200, 202, 204, 299} {
		check(t, "RW-57", fmt.Sprintf("%d is success and never retried", status), Case{
			Scrapes: scene, Writer: Writer{Rest: Answer{Status: status, Body: strings.Repeat("x", 100*b2i(status != 204))}},
			Until: rounds(3), Want: []Want{noneMissing(3), nothingTwice},
		})
	}
	check(t, "RW-58", "5xx is retried until it succeeds", Case{
		Scrapes: scene, Writer: Writer{Answers: statuses(500, 503, 502, 504, 500, 503, 599, 500, 507, 500)},
		Until: rounds(5), Want: []Want{noneMissing(4), retriedUntilTaken},
	})
	check(t, "RW-59", "a broken connection is retried", Case{
		Scrapes: scene, Writer: Writer{Answers: []Answer{{Close: true}, {Close: true}, {Close: true}}},
		Until: rounds(3), Want: []Want{noneMissing(3), retriedUntilTaken},
	})
	check(t, "RW-59", "a receiver that comes late misses nothing", Case{
		Scrapes: scene, Writer: Writer{Late: true},
		Run: func(w *World) error {
			if err := w.wait(10*time.Second, scrapes(3)); err != nil {
				return err
			}
			return w.receivers[0].listen()
		},
		Until: rounds(5), Want: []Want{noneMissing(5)},
	})
	for _, status := range []int{400, 404, 405, 409, 422, 302, 304} {
		check(t, "RW-60", fmt.Sprintf("%d is not retried", status), Case{
			Scrapes: scene, Writer: Writer{Answers: statuses(status)}, Until: rounds(2), Want: []Want{notRetried(0), running},
		})
	}
	for _, status := range []int{401, 403} {
		check(t, "RW-60", fmt.Sprintf("%d is not retried", status), Case{
			Scrapes: scene, Writer: Writer{Answers: statuses(status, status)}, Until: rounds(2), Want: []Want{notRetried(0), running},
			Unless: map[string]Deviation{"kinglet": {
				Claim: "401 and 403 are tried once more, with secrets read again, then dropped", Want: []Want{notRetried(1), running},
			}},
		})
	}
	check(t, "RW-60", "after a refusal the next batch goes out at once", Case{
		Scrapes: text(lines("s", 100, 1)), Writer: Writer{Batch: 20, MinBackoff: 3 * time.Second, MaxBackoff: 3 * time.Second, Answers: statuses(400)},
		Want: []Want{func(w *World) error {
			all := w.requests(0)
			if gap := all[1].At.Sub(all[0].Done); gap > 1500*time.Millisecond {
				return fmt.Errorf("the next batch waited %v", gap)
			}
			return nil
		}},
	})
	check(t, "RW-61", "429 is retried when so configured", Case{
		Scrapes: scene, Writer: Writer{Retry429: true, Answers: statuses(429, 429, 429)}, Until: rounds(3), Want: []Want{noneMissing(3), retriedUntilTaken},
	})
	check(t, "RW-61", "429 is an ordinary 4xx when not", Case{
		Scrapes: scene, Writer: Writer{Answers: statuses(429)}, Until: rounds(2), Want: []Want{notRetried(0)},
		Unless: map[string]Deviation{"kinglet": {Claim: "429 is always retried", Want: []Want{retriedUntilTaken}}},
	})
	check(t, "RW-61", "499, an overload at some receivers, is retried by kinglet", Case{
		Scrapes: scene, Writer: Writer{Answers: statuses(499, 499)}, Until: rounds(2), Want: []Want{notRetried(0)},
		Unless: map[string]Deviation{"kinglet": {Claim: "499 is retried", Want: []Want{retriedUntilTaken, noneMissing(2)}}},
	})
	backoff := Writer{MinBackoff: 100 * time.Millisecond, MaxBackoff: 800 * time.Millisecond, Answers: statuses(503, 503, 503, 503, 503, 503, 204, 204, 503)}
	check(t, "RW-62", "waits double up to the cap and begin anew after a success", Case{
		Scrapes: scene, Writer: backoff, Until: posts(10),
		Want: []Want{func(w *World) error {
			gaps := w.retryGaps()
			if len(gaps) < 6 || gaps[0] < 75*time.Millisecond || gaps[0] > 600*time.Millisecond || gaps[3] < 500*time.Millisecond {
				return fmt.Errorf("waits %v, want about 100 ms, 200 ms, 400 ms, 800 ms", gaps)
			}
			for _, g := range gaps {
				if g > 2*time.Second {
					return fmt.Errorf("waits %v, want 800 ms at most", gaps)
				}
			}
			all := w.requests(0)
			if again := all[9].At.Sub(all[8].Done); again > 600*time.Millisecond {
				return fmt.Errorf("the first wait after a success was %v", again)
			}
			return nil
		}},
	})
	check(t, "RW-63", "no wait is shorter than 0.8 of the one before", Case{
		Scrapes: scene, Writer: backoff, Until: posts(8),
		Want: []Want{func(w *World) error {
			gaps := w.retryGaps()
			for i := 1; i < len(gaps); i++ {
				if gaps[i] < gaps[i-1]*7/10 { // a tenth for the clock of a busy machine
					return fmt.Errorf("waits %v", gaps)
				}
			}
			return nil
		}},
	})
	retryAfter(t)
	check(t, "RW-65", "while an endpoint fails, newly filled batches wait too", Case{
		Scrapes: text(lines("s", 100, 1)), Writer: Writer{Batch: 20, MinBackoff: time.Second, MaxBackoff: time.Second, Rest: Answer{Status: 503}},
		Until: posts(5), Want: []Want{waitsAtLeast(800 * time.Millisecond)},
	})
	check(t, "RW-65", "the backoff holds during shutdown", Case{
		Scrapes: scene, Writer: Writer{MinBackoff: time.Second, MaxBackoff: time.Second, Rest: Answer{Status: 503}},
		Run: func(w *World) error {
			if err := w.wait(15*time.Second, posts(2)); err != nil {
				return err
			}
			if err := w.proc.cmd.Process.Signal(os.Interrupt); err != nil {
				return err
			}
			return w.wait(15*time.Second, func(w *World) error {
				if w.proc.ended() {
					return nil
				}
				return posts(5)(w)
			})
		},
		Want: []Want{waitsAtLeast(800 * time.Millisecond)},
	})
	check(t, "RW-66", "an outage loses nothing", Case{
		Scrapes: scene, Writer: Writer{Answers: append(append(statuses(503, 500, 503, 500, 503), Answer{Close: true}, Answer{Close: true}), statuses(503, 503, 503, 503, 503)...)},
		Until: rounds(7), Want: []Want{noneMissing(7)},
	})
	check(t, "RW-67", "what was buffered goes out oldest first", Case{
		Scrapes: scene, Writer: Writer{Answers: statuses(503, 503, 503, 503, 503, 503, 503, 503)}, Until: rounds(5), Want: []Want{ordered, noneMissing(5)},
	})
	check(t, "RW-68", "a hanging endpoint delays neither scraping nor the other endpoint", Case{
		Scrapes: scene, Writer: Writer{}, Writers: []Writer{{Timeout: 2 * time.Second, Rest: Answer{Hang: true}}},
		Until: rounds(6), Want: []Want{noneMissing(6), evenlySpaced(1000, 900)},
	})
	check(t, "RW-68", "a failing endpoint costs the other nothing", Case{
		Scrapes: scene, Writers: []Writer{{Rest: Answer{Status: 503}}}, Until: rounds(5), Want: []Want{noneMissing(5)},
	})
	check(t, "RW-69", "SIGINT sends what is pending and exits 0", Case{
		Scrapes: scene, Writer: Writer{Deadline: time.Minute, Batch: 10000},
		Run: func(w *World) error {
			if err := w.wait(15*time.Second, scrapes(3)); err != nil {
				return err
			}
			return w.Stop(15 * time.Second)
		},
		Want: []Want{noneMissing(2)},
	})
	check(t, "RW-70", "the receiver's words are logged and not obeyed", Case{
		Scrapes: scene, Writer: Writer{Answers: []Answer{{Status: 400, Body: "please retry later, code xyzzy-4711\n"}}},
		Until: rounds(2), Want: []Want{logs("xyzzy-4711"), notRetried(0)},
	})
	odd := strings.Repeat("all work and no play. ", 50000)
	for _, tt := range []struct {
		name   string
		answer Answer
	}{
		{"status 999", Answer{Status: 999}},
		{"a 1 MB error body", Answer{Status: 400, Body: odd}},
		{"a 1 MB body to a 5xx", Answer{Status: 500, Body: odd}},
		{"a cut error body", Answer{Status: 500, Body: "half", Cut: true}},
		{"an empty error body", Answer{Status: 400}},
	} {
		check(t, "RW-71", tt.name+" neither crashes nor stalls", Case{
			Scrapes: scene, Writer: Writer{Answers: []Answer{tt.answer, tt.answer}}, Until: rounds(3), Want: []Want{running},
		})
	}
	check(t, "RW-72", "a host that does not resolve is logged and costs the other endpoint nothing", Case{
		Scrapes: scene, Writers: []Writer{{URL: "http://nosuch-host.invalid/write"}}, Until: rounds(4),
		Want: []Want{noneMissing(4), logs("nosuch-host.invalid"), running},
	})
	check(t, "RW-72", "an unknown scheme is a failing endpoint, no more", Case{
		Scrapes: scene, Writers: []Writer{{URL: "nosuch://127.0.0.1/write"}}, Until: rounds(4), Want: []Want{noneMissing(4), logs("nosuch"), running},
	})
	check(t, "RW-72", "a port that nobody listens on costs the other endpoint nothing", Case{
		Scrapes: scene, Writers: []Writer{{Late: true}}, Until: rounds(4), Want: []Want{noneMissing(4), running},
	})
	check(t, "RW-73", "a retry sends the same samples", Case{
		Scrapes: []Page{{Make: func(n int, _ int64) string { return lines("s", 30, float64(n)) + "x NaN\n" }}},
		Writer:  Writer{Answers: statuses(503, 500, 204, 503)}, Until: rounds(4), Want: []Want{retriedUntilTaken, oneValuePerTime},
	})
}

// retryAfter holds the cases of RW-64.
func retryAfter(t *testing.T) {
	always := func(value func() string) Writer {
		return Writer{MinBackoff: 50 * time.Millisecond, Retry429: true, Reply: func(r *Request) Answer {
			if r.N > 0 {
				return Answer{}
			}
			return Answer{Status: 503, Header: http.Header{"Retry-After": {value()}}}
		}}
	}
	gap := func(low, high time.Duration) []Want {
		return []Want{func(w *World) error {
			if g := w.retryGaps(); len(g) < 1 || g[0] < low || g[0] > high {
				return fmt.Errorf("waits %v, want one of %v to %v", g, low, high)
			}
			return nil
		}}
	}
	check(t, "RW-64", "Retry-After in seconds sets the wait", Case{
		Scrapes: []Page{counting}, Writer: always(func() string { return "3" }), Until: rounds(2), Want: gap(2900*time.Millisecond, 5*time.Second),
	})
	check(t, "RW-64", "Retry-After as a date sets the wait", Case{
		Scrapes: []Page{counting}, Until: rounds(2), Want: gap(1800*time.Millisecond, 5*time.Second),
		Writer: always(func() string { return time.Now().Add(3 * time.Second).UTC().Format(http.TimeFormat) }),
	})
	for _, bad := range []string{"0", "-5", "soon", "3.5h", time.Unix(0, 0).UTC().Format(http.TimeFormat)} {
		check(t, "RW-64", "Retry-After "+strconv.Quote(bad)+" is ignored", Case{
			Scrapes: []Page{counting}, Writer: always(func() string { return bad }), Until: rounds(2), Want: gap(0, 1500*time.Millisecond),
		})
	}
}

// nothingTwice holds if no sample was sent a second time.
func nothingTwice(w *World) error {
	seen := map[string]int{}
	for _, r := range w.requests(0) {
		for _, s := range r.Samples {
			key := fmt.Sprintf("%s@%d", s.Key(), s.T)
			if first, ok := seen[key]; ok && first != r.N {
				return fmt.Errorf("request %d repeats %.200s of request %d", r.N, key, first)
			}
			seen[key] = r.N
		}
	}
	return nil
}

// waitsAtLeast holds if requests that fail came one at a time and apart.
func waitsAtLeast(low time.Duration) Want {
	return func(w *World) error {
		gaps := w.retryGaps()
		if len(gaps) == 0 {
			return fmt.Errorf("no retry")
		}
		for _, g := range gaps {
			if g < low {
				return fmt.Errorf("waits %v, want %v or more", gaps, low)
			}
		}
		return nil
	}
}
