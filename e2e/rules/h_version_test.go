//go:build e2e

package rules

import (
	"fmt"
	"net/http"
	"regexp"
	"testing"
)

// Section H: answers to 2.0, partial writes, falling back.
func TestVersions(t *testing.T) {
	t.Parallel()
	scene := []Page{counting}
	written := http.Header{"X-Prometheus-Remote-Write-Samples-Written": {"0"}}
	only1 := func(r *Request) Answer { // a receiver that knows 1.0 alone and says so
		if r.V2 {
			return Answer{Status: http.StatusUnsupportedMediaType, Body: "want 1.0"}
		}
		return Answer{}
	}
	check(t, "RW-74", "a receiver that reports less than was sent is told of in the log", Case{
		Scrapes: scene, Writer: Writer{Message: "2.0", Rest: Answer{Partial: true}}, Until: rounds(3),
		Want: []Want{usedV2, func(w *World) error {
			if !regexp.MustCompile(`(?i)partial|written`).MatchString(w.proc.log.text()) {
				return fmt.Errorf("the log does not speak of it")
			}
			return nil
		}},
	})
	check(t, "RW-75", "1.0 without Written headers is success", Case{
		Scrapes: scene, Writer: Writer{Message: "1.0", Rest: Answer{Mute: true}}, Until: rounds(3), Want: []Want{noneMissing(3), nothingTwice},
	})
	check(t, "RW-76", "a 2xx to 2.0 without any Written header makes the data go again as 1.0", Case{
		Scrapes: scene, Until: rounds(4),
		Writer: Writer{Message: "2.0", Reply: func(r *Request) Answer {
			if r.V2 {
				return Answer{Status: 200, Mute: true}
			}
			return Answer{}
		}},
		Want: []Want{usedV2, completeAs1(3)},
	})
	check(t, "RW-77", "a 2xx with lower counts is success and changes no version", Case{
		Scrapes: scene, Writer: Writer{Message: "2.0", Rest: Answer{Partial: true}}, Until: rounds(4),
		Want: []Want{noneMissing(4), nothingTwice, everyRequest(isV2)},
	})
	check(t, "RW-78", "a partial write with a 4xx is finished", Case{
		Scrapes: scene, Writer: Writer{Message: "2.0", Answers: []Answer{{Status: 400, Partial: true}}}, Until: rounds(3),
		Want: []Want{notRetried(0), everyRequest(isV2)},
	})
	check(t, "RW-79", "a partial write with a 5xx is sent again whole", Case{
		Scrapes: scene, Writer: Writer{Message: "2.0", Answers: []Answer{{Status: 503, Partial: true}, {Status: 500, Partial: true}}}, Until: rounds(3),
		Want: []Want{retriedUntilTaken, noneMissing(3), everyRequest(isV2)},
	})
	check(t, "RW-80", "Written headers to a 1.0 request change no version", Case{
		Scrapes: scene, Writer: Writer{Message: "1.0", Rest: Answer{Header: written}}, Until: rounds(4), Want: []Want{everyRequest(isV1), noneMissing(4)},
	})
	check(t, "RW-81", "415 to 2.0 makes the data go again as 1.0, and 1.0 stays", Case{
		Scrapes: scene, Writer: Writer{Message: "2.0", Reply: only1}, Until: rounds(4),
		Want: []Want{noneMissing(4), func(w *World) error {
			if all := w.requests(0); len(all) < 2 || !all[0].V2 {
				return fmt.Errorf("the first request was not 2.0")
			}
			for _, r := range w.requests(0)[1:] {
				if r.V2 {
					return fmt.Errorf("request %d is 2.0 again", r.N)
				}
			}
			return nil
		}},
		Unless: map[string]Deviation{"prometheus": {Claim: "it does not fall back: 415 drops", Want: []Want{running}, Until: posts(3)}},
	})
	check(t, "RW-82", "415 to 1.0 drops like any 4xx", Case{
		Scrapes: scene, Writer: Writer{Message: "1.0", Answers: statuses(415)}, Until: rounds(3), Want: []Want{notRetried(0), everyRequest(isV1)},
	})
	check(t, "RW-83", "the version is a setting: 1.0", Case{
		Scrapes: scene, Writer: Writer{Message: "1.0"}, Want: []Want{everyRequest(isV1), values("m", 1)},
	})
	check(t, "RW-83", "the version is a setting: 2.0", Case{
		Scrapes: scene, Writer: Writer{Message: "2.0"}, Want: []Want{everyRequest(isV2), values("m", 1)},
	})
	check(t, "RW-83", "auto loses nothing at a receiver of 1.0", Case{
		Scrapes: scene, Writer: Writer{Message: "auto", Reply: only1}, Until: rounds(5), Want: []Want{noneMissing(5)},
	})
	check(t, "RW-83", "auto loses nothing at a receiver that silently ignores 2.0", Case{
		Scrapes: scene, Writer: Writer{Message: "auto", Rest: Answer{Status: 200, Mute: true}}, Until: rounds(5), Want: []Want{completeAs1(4)},
	})
	check(t, "RW-83", "auto loses nothing at a receiver of 2.0", Case{
		Scrapes: scene, Writer: Writer{Message: "auto"}, Until: rounds(5), Want: []Want{noneMissing(5)},
	})
}

func isV1(r Request) error {
	if r.V2 {
		return fmt.Errorf("a 2.0 request, want 1.0")
	}
	return nil
}

// completeAs1 is noneMissing over 1.0 requests alone: what a receiver that
// does not understand 2.0 has stored.
func completeAs1(n int) Want {
	return func(w *World) error {
		got := map[float64]bool{}
		for _, r := range w.requests(0) {
			for _, s := range r.Samples {
				if !r.V2 && r.Acked() && s.Get("__name__") == "m" {
					got[s.Value] = true
				}
			}
		}
		for i := 1; i <= n; i++ {
			if !got[float64(i)] {
				return fmt.Errorf("m %d never came as 1.0", i)
			}
		}
		return nil
	}
}

// usedV2 holds if 2.0 was spoken at all.
func usedV2(w *World) error {
	for _, r := range w.requests(0) {
		if r.V2 {
			return nil
		}
	}
	return fmt.Errorf("no request was 2.0")
}
