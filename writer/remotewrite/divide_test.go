package remotewrite

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kinglet/writer/queue"
)

func TestOneCulpritCostsNobodyElse(t *testing.T) {
	const targets, series = 64, 32
	for _, well := range []bool{false, true} {
		t.Run(fmt.Sprintf("the endpoint took something before: %v", well), func(t *testing.T) {
			var first, second, then []int
			for _, culprit := range []int{0, 1, 2, 15, 16, 17, 31, 32, 40, 62, 63} {
				synctest.Test(t, func(t *testing.T) {
					word := fmt.Sprintf("target-%d-", culprit)
					if well {
						word = fmt.Sprintf("target-%d-series-%03d-", culprit, culprit/2)
					}
					b := newPickyBench(asItIs, memory(), func(string) bool { return false })
					if well {
						b.scrape(1, 1, 1)
						b.pass(t, 15*time.Second)
					}
					b.refuses = refusing(word)
					for _, cost := range []*[]int{&first, &second, &then} {
						b.requests, b.refused, b.picky.taken = 0, 0, nil
						clear(b.counts)
						want := b.scrape(targets, series, series)
						all := len(want)
						want = slices.DeleteFunc(want, b.refuses)
						b.pass(t, 15*time.Second)
						if diff := cmp.Diff(want, b.picky.taken); diff != "" {
							t.Fatalf("culprit %d: innocents are missing, doubled or out of order:\n%s", culprit, diff)
						}
						if got := b.counts["dropped out_of_order"]; got != all-len(want) || b.counts["sent"] != len(want) || b.again != 0 {
							t.Errorf("culprit %d: %v, %d requests came again; want %d dropped", culprit, b.counts, b.again, all-len(want))
						}
						*cost = append(*cost, b.requests-1)
					}
				})
			}
			// log2(64) and 2 to find the target. Then log2(32) and 2 to find the series in it,
			// or 2 more to see that it is all of them.
			most, mostThen := 8+11, 3
			if well {
				most, mostThen = 8+7, 3+3
			}
			t.Logf("requests beside the first: %d to %d, then %d to %d, then %d to %d", slices.Min(first), slices.Max(first),
				slices.Min(second), slices.Max(second), slices.Min(then), slices.Max(then))
			if got := max(slices.Max(first), slices.Max(second)); got > most {
				t.Errorf("it took %d requests more, want %d at most", got, most)
			}
			if got := slices.Max(then); got > mostThen {
				t.Errorf("it took %d requests more to find it again, want %d at most", got, mostThen)
			}
		})
	}
}

func TestTheCulpritIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPickyBench(asItIs, memory(), refusing("target-3-"))
		for range 2 {
			b.scrape(8, 20, 20)
			b.pass(t, 2*time.Minute)
		}
		for _, want := range []string{
			`samples=1 error="endpoint answered 400: out of order sample" series="{__name__=\"m\",instance=\"target-3-\",s=\"target-3-series-000-\"}"`,
			`samples=39 error="endpoint answered 400: out of order sample" series="{__name__=\"m\",instance=\"target-3-\"}"`,
		} {
			if !strings.Contains(b.log.String(), want) {
				t.Errorf("want %s in\n%s", want, b.log)
			}
		}
	})
}

func TestManyCulpritsCostNobodyElse(t *testing.T) {
	for _, tt := range []struct {
		name            string
		targets, series int
		block           int
		refuses         func(string) bool
		lost            int // samples
		first, then     int // requests at most, beside the one refused, at first and from the third time on
	}{
		{"two next to each other", 64, 4, 4, refusing("target-0-", "target-1-"), 8, 18, 5},
		{"three far apart", 64, 4, 4, refusing("target-5-", "target-33-", "target-60-"), 12, 45, 9},
		{"a big target that is refused whole", 20, 80, 10, refusing("target-0-"), 80, 20, 3},
		{"the last one", 20, 80, 10, refusing("target-19-"), 80, 22, 3},
		{"one block of a big target", 20, 80, 10, refusing("target-7-series-035-"), 10, 14, 9},
		{"all but one of two", 2, 4, 4, refusing("target-1-"), 4, 9, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newPickyBench(asItIs, memory(), tt.refuses)
				for i, most := range []int{tt.first, tt.first, tt.then} {
					b.requests, b.picky.taken = 0, nil
					clear(b.counts)
					lines := b.scrape(tt.targets, tt.series, tt.block)
					want := slices.DeleteFunc(slices.Clone(lines), tt.refuses)
					b.pass(t, 15*time.Second)
					missing := 0
					for _, line := range want {
						if !slices.Contains(b.picky.taken, line) {
							missing++
						}
					}
					if got := b.counts["dropped out_of_order"]; got > tt.lost || missing > tt.lost || b.counts["sent"]+got != len(lines) || b.again > 0 {
						t.Errorf("round %d: %v, %d innocents are lost; want %d dropped at most", i, b.counts, missing, tt.lost)
					}
					t.Logf("%d requests, %d dropped", b.requests-1, b.counts["dropped out_of_order"])
					if b.requests-1 > most {
						t.Errorf("round %d took %d requests more, want %d at most", i, b.requests-1, most)
					}
				}
			})
		})
	}
}

func TestEverySampleIsTakenOrCountedOnceAndInOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			guilty := map[string]bool{}
			share := random.Float64() * random.Float64()
			b := newPickyBench(asItIs, memory(), nil)
			b.refuses = func(line string) bool {
				if _, known := guilty[line]; !known {
					guilty[line] = random.Float64() < share/10
				}
				return guilty[line]
			}
			var all []string
			rounds, targets := 1+random.IntN(3), 1+random.IntN(30)
			for range rounds { // some rows of each target in one request
				all = append(all, b.scrape(targets, 1+random.IntN(20), 1+random.IntN(20))...)
			}
			b.pass(t, time.Minute)
			last := map[string]string{} // time, of each series; all are equally long
			for _, line := range b.picky.taken {
				series, at, _ := strings.Cut(line, "@")
				if !slices.Contains(all, line) || last[series] >= at {
					t.Fatalf("%s comes twice, out of order or from nowhere", line)
				}
				last[series] = at
			}
			dropped := b.counts["dropped out_of_order"]
			if len(b.picky.taken) != b.counts["sent"] || b.counts["sent"]+dropped != len(all) {
				t.Errorf("%d samples, %d taken: %v", len(all), len(b.picky.taken), b.counts)
			}
			if b.requests > rounds+maxSpare+partsPerSecond || b.requests > rounds*(1+maxParts) || b.again > 0 {
				t.Errorf("%d requests, %d of them the same again", b.requests, b.again)
			}
			if s := b.queue.Stats(); s.Blocks != 0 {
				t.Errorf("%d blocks are left", s.Blocks)
			}
		})
	}
}

func TestAPartIsRepeatedLikeAnyRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPickyBench(asItIs, memory(), refusing("target-5-"))
		b.status = func(n int) int { return map[int]int{2: 503, 3: 429, 5: 413}[n] }
		want := slices.DeleteFunc(b.scrape(16, 4, 4), b.refuses)
		b.pass(t, 15*time.Second)
		if diff := cmp.Diff(want, b.picky.taken); diff != "" {
			t.Error(diff)
		}
		if b.counts["dropped out_of_order"] != 4 || b.counts["retried 5xx"] != 1 || b.counts["retried 429"] != 1 {
			t.Errorf("counts are %v", b.counts)
		}
	})
}

func TestAStopInTheMiddleLosesNoInnocent(t *testing.T) {
	for _, kind := range []string{"memory", "log"} {
		t.Run(kind, func(t *testing.T) {
			for stop := 2; stop < 14; stop++ {
				synctest.Test(t, func(t *testing.T) {
					dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
					open := func() *queue.Log {
						q, err := queue.OpenLog(queue.LogConfig{Dir: dir, MaxBytes: 8 << 20, MemoryBytes: 1 << 20}, nil, log)
						if err != nil {
							t.Fatal(err)
						}
						return q
					}
					q := memory()
					if kind == "log" {
						q = open()
					}
					b := newPickyBench(asItIs, q, refusing("target-9-", "target-20-"))
					b.status = func(n int) int {
						if n >= stop {
							return 503 // until it is stopped
						}
						return 0
					}
					want := slices.DeleteFunc(b.scrape(32, 4, 4), b.refuses)
					b.pass(t, 15*time.Second)
					before := b.picky.taken
					if l, ok := q.(*queue.Log); ok {
						l.Close()
						l.Release()
						q = open()
						defer q.(*queue.Log).Release()
					}
					after := newPickyBench(asItIs, q, b.refuses)
					after.pass(t, 15*time.Second)
					all := slices.Concat(before, after.picky.taken)
					for _, line := range want {
						if !slices.Contains(all, line) {
							t.Fatalf("stopped at request %d: %s is lost", stop, line)
						}
					}
					if dropped := b.counts["dropped out_of_order"] + after.counts["dropped out_of_order"]; dropped < 8 || dropped > 8+4 { // one block may be counted twice
						t.Errorf("stopped at request %d: %d dropped, want 8", stop, dropped)
					}
				})
			}
		})
	}
}

func TestADamagedBlockCostsNobodyElse(t *testing.T) {
	zstdEncoder().EncodeAll(nil, nil) // its goroutines' channels are of no bubble
	synctest.Test(t, func(t *testing.T) {
		b := newPickyBench(func(c *Config) { c.Compression = CompressZstd }, memory(), func(string) bool { return false })
		var forms []string
		b.sender.client.http = doerFunc(func(r *http.Request) (*http.Response, error) {
			forms = append(forms, r.Header.Get("Content-Encoding"))
			return &http.Response{StatusCode: 204, Header: http.Header{}, Body: http.NoBody}, nil
		})
		for target := range 8 {
			blocks := newEncoder(4).Encode(b.row(target, 4))
			if target == 5 {
				blocks[0].Stream = slices.Repeat([]byte{0xff}, len(blocks[0].Stream))
			}
			b.queue.Append(blocks...)
		}
		b.pass(t, 15*time.Second)
		if diff := cmp.Diff(counts{"sent": 28, "dropped damaged": 4, "requests 204": len(forms)}, b.counts); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhatOne0CannotCarryIsCountedOnceHoweverOftenItIsDivided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPickyBench(message(Message2), memory(), refusing("target-2-"))
		b.status = func(n int) int {
			if n == 1 {
				return 400 // to 2.0
			}
			return 0
		}
		for target := range 4 {
			row := richRow()
			if target == 2 {
				row = b.row(2, 4)
			}
			row.Target = uint64(target + 1)
			b.queue.Append(extendedBlocks(row)...)
		}
		b.pass(t, 15*time.Second)
		for key := range b.counts {
			if strings.HasPrefix(key, "requests") {
				delete(b.counts, key)
			}
		}
		if diff := cmp.Diff(counts{"sent": 12, "dropped out_of_order": 4, "dropped not_in_1_0": 3, "retried fallback": 1}, b.counts); diff != "" {
			t.Error(diff)
		}
	})
}

func TestManySeriesOfATargetThatAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name    string
		refuses func(i int) bool
	}{
		{"here and there", func(i int) bool { return i%13 == 5 }},
		{"side by side", func(i int) bool { return i >= 200 && i < 240 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const series = 500
				b := newPickyBench(asItIs, memory(), nil)
				number := func(line string) (n int) {
					_, after, _ := strings.Cut(line, "-series-")
					_, _ = fmt.Sscanf(after, "%d", &n)
					return n
				}
				well := false
				b.refuses = func(line string) bool {
					return strings.Contains(line, "target-1-") && tt.refuses(number(line)) && (!well || number(line) == 213)
				}
				scrape := func() (lost, requests int) {
					clear(b.counts)
					b.requests = 0
					b.scrape(3, series, 1000)
					b.pass(t, 15*time.Second)
					if n := b.counts["sent"] + b.counts["dropped out_of_order"]; n != 3*series || b.again > 0 {
						t.Fatalf("%d samples are accounted for, want %d; %d requests came again", n, 3*series, b.again)
					}
					return b.counts["dropped out_of_order"], b.requests
				}
				culprits := 0
				for i := range series {
					if tt.refuses(i) {
						culprits++
					}
				}
				rounds := 0
				for lost, requests := 0, 0; lost != culprits || requests > 7; rounds++ {
					if lost, requests = scrape(); lost < culprits || lost > series || rounds > 20 {
						t.Fatalf("scrape %d: %d samples lost in %d requests, want %d", rounds, lost, requests, culprits)
					}
				}
				t.Logf("all %d are known after %d scrapes", culprits, rounds)
				well = true
				for rounds = 0; ; rounds++ {
					if lost, _ := scrape(); lost <= 1 {
						break
					}
					if rounds > culprits+1 {
						t.Fatal("series that are taken again are not sent")
					}
				}
				t.Logf("that they are taken again is known after %d scrapes", rounds)
			})
		})
	}
}
