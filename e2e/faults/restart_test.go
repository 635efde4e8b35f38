//go:build e2e

package faults

import (
	"fmt"
	"testing"
	"time"
)

// TestWhatVanishedMeanwhileEndsAfterARestart ends kinglet, and takes a target
// out of the configuration and series off a page before it is back.
func TestWhatVanishedMeanwhileEndsAfterARestart(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *world){
		"killed":  func(_ *testing.T, w *world) { w.kill() },
		"stopped": func(t *testing.T, w *world) { w.terminate(t, 10*time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vanishMeanwhile(t, end)
		})
	}
}

func vanishMeanwhile(t *testing.T, end func(*testing.T, *world)) {
	t.Helper()
	const interval = time.Second
	w := newWorld(t, setup{interval: interval})
	w.start(t)
	w.served(t, 5)
	end(t, w)
	const kept = 20
	w.targets.all[1].show(kept)
	w.urls = w.targets.urls(0)
	w.configure(t)
	w.start(t)

	ended := func(k seriesKey) bool {
		_, bits, ok := w.sink.last(k)
		return ok && bits == staleBits
	}
	gone := []seriesKey{{upName, 0, 0}, {sequenceName, 0, 0}, {churnName, 0, 0}}
	for i := range w.series {
		gone = append(gone, seriesKey{valueName, 0, i})
		if i >= kept {
			gone = append(gone, seriesKey{valueName, 1, i})
		}
	}
	eventually(t, interval+time.Second, "what vanished has ended", func() (bool, string) {
		var alive []seriesKey
		for _, k := range gone {
			if !ended(k) {
				alive = append(alive, k)
			}
		}
		return len(alive) == 0, fmt.Sprintf("%d of %d are not: %s", len(alive), len(gone), some(alive))
	})
	w.flowing(t, 1000)
	for target := 1; target < w.setup.targets; target++ {
		for i := range kept {
			if k := (seriesKey{valueName, target, i}); ended(k) {
				t.Errorf("%v lives and was ended", k)
			}
		}
	}
	w.allArrived(t)
}
