//go:build e2e

package faults

import (
	"math"
	"net/http"
	"testing"
	"time"
)

// most is how much memory an outage may take beside what health takes.
const most = 8 << 20

// TestAnOutageTakesNoMemory measures kinglet, with 40,000 samples a second,
// before and in an outage, and while the backlog drains.
func TestAnOutageTakesNoMemory(t *testing.T) {
	w := newWorld(t, setup{targets: 20, series: 1000, interval: 500 * time.Millisecond})
	w.start(t)
	w.served(t, 12) // shapes and stencils have settled
	w.agent.forgetPeak(t)
	w.served(t, 12)
	before := w.agent.peak(t)

	w.agent.forgetPeak(t)
	w.sink.down()
	pass(t, suite.outage)
	waiting, _ := w.agent.metric("kinglet_writer_queue_bytes")
	blocked, _ := w.agent.metric("kinglet_writer_queue_samples")
	folder := folderBytes(w.queueDir)
	samples, bytes := w.sink.wire()
	w.sink.up(t)
	v := w.settle(t, 2*time.Minute+3*suite.outage) // the drain is paced
	during := w.agent.peak(t)
	samplesNow, bytesNow := w.sink.wire()
	wire := float64(bytesNow-bytes) / float64(samplesNow-samples)

	v.check(t)
	v.inOrder(t)
	t.Logf("outage of %v: peak %.1f MiB, %.1f MiB in health; %.0f samples on disk in %.2f bytes each, %.2f on the wire; %d bytes in all files",
		suite.outage, mebi(during), mebi(before), blocked, waiting/blocked, wire, folder)
	if during > before+most {
		t.Errorf("the peak grew by %.1f MiB", mebi(during-before))
	}
	if perSample := waiting / blocked; perSample > 1.1*wire {
		t.Errorf("%.2f bytes a sample on disk, %.2f on the wire", perSample, wire)
	}
	if folder > int64(waiting)+retained {
		t.Errorf("the files hold %d bytes, of which %.0f wait", folder, waiting)
	}
}

// retained is how much of what was acknowledged a log may still hold, with what
// is gone when a segment ends.
const retained = 14 << 20

func mebi(n int64) float64 { return float64(n) / (1 << 20) }

// TestRefusalsCostNothing lets the endpoint answer 429 and 500 in turn.
func TestRefusalsCostNothing(t *testing.T) {
	t.Parallel()
	for _, memory := range []bool{false, true} {
		t.Run(map[bool]string{false: "with a log", true: "in memory"}[memory], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{memory: memory})
			w.start(t)
			w.served(t, 3)
			w.sink.behave(refusing)
			pass(t, 20*time.Second)
			w.sink.behave(healthy)
			v := w.settle(t, time.Minute)
			v.check(t)
			v.inOrder(t)
			v.once(t)
		})
	}
}

// TestBeyondTheLimitTheOldestGo keeps the endpoint away until the log is full.
func TestBeyondTheLimitTheOldestGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{targets: 10, series: 2000, interval: 250 * time.Millisecond, lasting: true, writerOpt: `queue_max_bytes = "16MiB"`})
	w.start(t)
	w.served(t, 3)
	w.sink.down()
	w.agent.waitMetric(t, time.Minute, func(v float64) bool { return v > 0 }, "kinglet_writer_samples_dropped_total", `reason="queue_full"`)
	w.served(t, 4)
	if n := folderBytes(w.queueDir); n > 16<<20+1<<16 {
		t.Errorf("the log takes %d bytes", n)
	}
	w.sink.up(t)
	v := w.settle(t, time.Minute)
	v.countedAs(t, w, `reason="queue_full"`)
	v.oldest(t)
}

// TestMaxAgeGivesUpAndCounts lets an outage last longer than samples are good.
func TestMaxAgeGivesUpAndCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{lasting: true, writer: `max_age = "4s"`})
	w.start(t)
	w.served(t, 3)
	w.sink.down()
	pass(t, 8*time.Second)
	w.sink.up(t)
	v := w.settle(t, time.Minute)
	v.countedAs(t, w, `reason="max_age"`)
	v.oldest(t)
}

// TestFreshSamplesAreNotStarved looks at a drain that takes its time.
func TestFreshSamplesAreNotStarved(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, writer string
		outage       time.Duration // kinglet calls what waited for 30 s a backlog
		fresh        bool
	}{
		{"half of the requests are for fresh samples", "fresh_share = 0.5", 35 * time.Second, true},
		{"the oldest goes first", "fresh_share = 0.0", 8 * time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{writer: tt.writer})
			w.start(t)
			w.served(t, 3)
			w.sink.down()
			pass(t, tt.outage)
			w.sink.behave(slow)
			began := time.Now()
			w.sink.up(t)
			var took time.Duration
			eventually(t, 30*time.Second, "a fresh sample arrives", func() (bool, string) {
				took = time.Since(began)
				ms, bits, ok := w.sink.last(seriesKey{upName, 0, 0})
				return ok && ms >= began.UnixMilli() && math.Float64frombits(bits) == 1, ""
			})
			distinct, _ := w.sink.progress()
			due := w.targets.samples()
			w.sink.behave(healthy)
			v := w.settle(t, time.Minute)
			t.Logf("the first fresh sample arrived after %v, when %d of %d samples had", took, distinct, due)
			v.check(t)
			v.once(t)
			if !tt.fresh {
				v.inOrder(t)
				return
			}
			if took > 3*time.Second {
				t.Errorf("the first fresh sample arrived after %v", took)
			}
			if v.late == 0 {
				t.Error("nothing of the backlog was left when the first fresh sample came: nothing was shown")
			}
		})
	}
}

// TestAStopDuringAnOutageLeavesTheRestInTheLog ends kinglet with SIGTERM while
// its endpoint fails.
func TestAStopDuringAnOutageLeavesTheRestInTheLog(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]func(*sink){
		"connections are refused": (*sink).down,
		"the endpoint hangs":      func(s *sink) { s.behave(hanging) },
		"the endpoint refuses":    func(s *sink) { s.behave(refusing) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{writerOpt: `drain_timeout = "1s"`})
			w.start(t)
			w.served(t, 3)
			fails(w.sink)
			w.served(t, 8)
			if took := w.terminate(t, 15*time.Second); took > 3*time.Second {
				t.Errorf("the end took %v, drain_timeout is 1s", took)
			}
			w.sink.behave(healthy)
			w.sink.up(t)
			w.start(t)
			w.served(t, 2)
			w.allArrived(t)
		})
	}
}

// TestAChangedAddressKeepsTheBacklog moves the endpoint while samples wait.
func TestAChangedAddressKeepsTheBacklog(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, w *world)
	}{
		{"by a reload", func(t *testing.T, w *world) {
			w.configure(t)
			response, err := http.Post("http://"+w.agent.listen+"/-/reload", "", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
		}},
		{"at a restart", func(t *testing.T, w *world) {
			w.kill()
			w.configure(t)
			w.start(t)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{})
			w.start(t)
			w.served(t, 3)
			w.backlog(t, 8)
			w.url = w.sink.also(t)
			tt.change(t, w)
			w.served(t, 2)
			w.allArrived(t)
			if len(w.agent.lines("address", w.url)) == 0 {
				t.Errorf("no line says that the address changed")
			}
		})
	}
}

// countedAs wants as many samples to be missing as kinglet counted with that
// label, and none for another reason.
func (v verdict) countedAs(t *testing.T, w *world, label string) {
	t.Helper()
	counted, _ := w.agent.metric("kinglet_writer_samples_dropped_total", label)
	all, _ := w.agent.metric("kinglet_writer_samples_dropped_total")
	t.Logf("%v; counted: %v", v, counted)
	if n := float64(v.lostSamples()); n != counted || all != counted || n == 0 {
		t.Errorf("%v samples are missing, kinglet counted %v with %s and %v in all", n, counted, label, all)
	}
	if len(v.altered) > 0 {
		t.Errorf("altered: %d\n%s", len(v.altered), some(v.altered))
	}
}

// oldest wants what is missing to be one stretch of each target's scrapes.
func (v verdict) oldest(t *testing.T) {
	t.Helper()
	first, n, last := map[int]int{}, map[int]int{}, map[int]int{}
	for _, m := range v.lost {
		if n[m.target] == 0 {
			first[m.target] = m.scrape.n
		}
		n[m.target]++
		last[m.target] = m.scrape.n
	}
	for target := range n {
		if last[target]-first[target]+1 != n[target] {
			t.Errorf("target %d misses %d scrapes between %d and %d: want one stretch", target, n[target], first[target], last[target])
		}
	}
}
