package writer

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"kinglet/conf/unit"
	"kinglet/writer/queue"
)

// TestAClockThatIsSetLosesNothing sets the node's clock during an outage. A
// process that runs on measures time by a clock that nobody sets, and sees the
// jump in the timestamps of its rows alone; after a restart those are all that
// is known of how long something waited.
func TestAClockThatIsSetLosesNothing(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("by %v, restart %v", jump, restart), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := onDisk(t)
					cfg.QueueMaxAge = unit.Duration{Duration: 90 * time.Minute}
					a := &receiver{status: func(int) int { return 503 }}
					r := newRig(t, cfg, map[string]*receiver{"a": a}, named("n9e", "a"))
					var want []string
					round := 0
					scrape := func(offset time.Duration) {
						round++
						row := rowOf(50, round)
						row.TimestampMs = time.Now().Add(offset).UnixMilli()
						want = append(want, linesAt(50, round, row.TimestampMs)...)
						r.push(t, row)
						pass(15 * time.Second)
					}
					lost := func() float64 {
						n := 0.0
						for _, reason := range []string{queue.ReasonFull, queue.ReasonAge, queue.ReasonDamaged, reasonShutdown} {
							n += testutil.ToFloat64(r.metrics.dropped.WithLabelValues("n9e", reason))
						}
						return n
					}
					for _, offset := range []time.Duration{0, 0, jump, jump} {
						scrape(offset)
					}
					if restart {
						r.stop()
						if n := lost(); n > 0 {
							t.Errorf("%v samples are given up", n)
						}
						r = newRig(t, cfg, map[string]*receiver{"a": a}, named("n9e", "a"))
					}
					for _, offset := range []time.Duration{jump, 0, 0} { // and back
						scrape(offset)
					}
					pass(20 * time.Minute)
					a.recover()
					pass(time.Minute)
					got := a.got()
					slices.Sort(got)
					slices.Sort(want)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Error(diff)
					}
					if n := lost(); n > 0 {
						t.Errorf("%v samples are given up", n)
					}
				})
			})
		}
	}
}

// linesAt is what a receiver keeps of rowOf with that timestamp.
func linesAt(n, seed int, ms int64) []string {
	lines := make([]string, n)
	for i := range n {
		lines[i] = fmt.Sprintf("[{__name__ m} {i %d} {seed %d}] %v @%d", i, seed, float64(i), ms)
	}
	return lines
}

// recover lets the endpoint work from now on.
func (r *receiver) recover() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = nil
}
