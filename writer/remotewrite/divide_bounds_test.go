package remotewrite

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhatRefusesEverythingIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPickyBench(asItIs, memory(), func(string) bool { return true })
		const rounds = 240 // an hour
		for range rounds {
			b.scrape(64, 4, 4)
			b.pass(t, 15*time.Second)
		}
		if b.again > 0 || b.counts["dropped out_of_order"] != rounds*256 {
			t.Errorf("%v, %d requests came again", b.counts, b.again)
		}
		t.Logf("%d requests more in an hour", b.requests-rounds)
		if more := b.requests - rounds; more > 60*16 {
			t.Errorf("%d requests more in an hour, want some 16 a minute at most", more)
		}
		if n := strings.Count(b.log.String(), "not divided"); n != 1 {
			t.Errorf("the pause is told of %d times", n)
		}
		b.refuses = refusing("target-5-")
		b.scrape(64, 4, 4)
		b.pass(t, 15*time.Second)
		b.refuses = func(string) bool { return false }
		b.scrape(64, 4, 4)
		b.pass(t, 15*time.Second)
		b.requests, b.picky.taken = 0, nil
		b.refuses = refusing("target-6-")
		b.scrape(64, 4, 4)
		b.pass(t, 15*time.Second)
		if len(b.picky.taken) != 63*4 {
			t.Errorf("%d samples were taken once requests were", len(b.picky.taken))
		}
		if n := strings.Count(b.log.String(), "are divided"); n != 1 {
			t.Errorf("the end of the pause is told of %d times in\n%s", n, b.log)
		}
	})
}

func TestPartsAreFewInTheLongRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		b := newPickyBench(asItIs, memory(), nil)
		b.refuses = func(line string) bool {
			return strings.Contains(line, fmt.Sprintf("-%d-", n%23)) && strings.Contains(line, "target")
		}
		const rounds = 600 // a minute
		for range rounds {
			n++
			b.scrape(23, 2, 2)
			b.scrape(23, 2, 2)
			b.sender.linger = 0
			b.pass(t, 100*time.Millisecond)
		}
		most := maxSpare + 60*partsPerSecond
		more := b.requests - 2*rounds // of one row for each target
		t.Logf("%d requests more in a minute", more)
		if more > most || more < most/2 {
			t.Errorf("%d requests more in a minute, want %d at most, and half of that", more, most)
		}
	})
}

func TestWhatIsNotDivided(t *testing.T) {
	profile := func(p Profile) func(*Config) { return func(c *Config) { c.Profile = p } }
	for _, tt := range []struct {
		name    string
		edit    func(*Config)
		status  int
		divided bool
	}{
		{"a bad request", asItIs, 400, true},
		{"a conflict", asItIs, 409, true},
		{"unprocessable content", asItIs, 422, true},
		{"Prometheus stores nothing of what it refuses", profile(ProfilePrometheus), 400, true},
		{"nor does VictoriaMetrics", profile(ProfileVictoriaMetrics), 400, true},
		{"nor does Nightingale", profile(ProfileNightingale), 400, true},
		{"Mimir has taken the rest", profile(ProfileMimir), 400, false},
		{"Thanos too", profile(ProfileThanos), 409, false},
		{"a wrong path", asItIs, 404, false},
		{"a wrong method", asItIs, 405, false},
		{"a form it does not know", asItIs, 415, false},
		{"400 that is to be repeated", func(c *Config) { c.RetryStatus = []int{400} }, 400, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newPickyBench(tt.edit, memory(), refusing("target-1-"))
				b.status = func(n int) int {
					if n == 1 {
						return tt.status
					}
					return 0
				}
				b.scrape(4, 4, 4)
				b.pass(t, 15*time.Second)
				if divided := b.counts["sent"] > 0; divided != tt.divided {
					t.Errorf("divided is %v, want %v: %v", divided, tt.divided, b.counts)
				}
			})
		})
	}
}

func TestSuspectsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v divider
		for i := range uint64(5 * maxSuspects) {
			v.suspect(i+1, false)
		}
		if len(v.suspects) > maxSuspects {
			t.Errorf("%d are suspected", len(v.suspects))
		}
		if _, ok := v.suspected(5 * maxSuspects); !ok {
			t.Error("the last one is not")
		}
		<-time.After(suspectFor + time.Second)
		if _, ok := v.suspected(5 * maxSuspects); ok {
			t.Error("the last one is suspected for ever")
		}
	})
}

func TestPartsTakeHalfTheTimeAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPickyBench(asItIs, memory(), refusing("target-3-", "target-7-", "target-11-", "target-15-"))
		const answersIn = 200 * time.Millisecond
		quick := b.sender.client.http
		b.sender.client.http = doerFunc(func(r *http.Request) (*http.Response, error) {
			<-time.After(answersIn)
			return quick.Do(r)
		})
		b.sender.linger = 0
		const rounds, every = 200, 3 * time.Second
		for range rounds {
			b.scrape(16, 2, 2)
			b.pass(t, every)
		}
		more := b.requests - rounds
		spent := time.Duration(more) * answersIn
		t.Logf("%v of parts in %v", spent, rounds*every)
		if spent > rounds*every/2 || spent < rounds*every/4 {
			t.Errorf("%d requests more in %v took %v, want half of it at most", more, rounds*every, spent)
		}
		if s := b.queue.Stats(); s.Blocks > 16 {
			t.Errorf("%d blocks wait", s.Blocks)
		}
	})
}

func TestARequestOfOneBlock(t *testing.T) {
	for _, tt := range []struct {
		name    string
		before  time.Duration // since the endpoint took something; 0: never
		culprit string
		want    counts
	}{
		{"is dropped by an endpoint that never took anything", 0, "series-007-", counts{"dropped out_of_order": 500, "requests 400": 1}},
		{"nor has for long", 2 * wellFor, "series-007-", counts{"dropped out_of_order": 500, "requests 400": 1}},
		{"costs a series if others are taken", wellFor / 2, "series-007-", counts{"dropped out_of_order": 1, "sent": 499, "requests 400": 8, "requests 204": 4}},
		{"costs what all is refused of", wellFor / 2, "series", counts{"dropped out_of_order": 500, "requests 400": 13}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newPickyBench(asItIs, memory(), func(string) bool { return false })
				if tt.before > 0 {
					b.scrape(1, 1, 1)
					b.pass(t, tt.before)
				}
				clear(b.counts)
				b.refuses = refusing(tt.culprit)
				b.scrape(1, 500, 1000)
				b.pass(t, 15*time.Second)
				if diff := cmp.Diff(tt.want, b.counts); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}
