//go:build e2e

package nightingale

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"kinglet/e2e/harness"
)

// TestOverloadLosesNothing stalls the store behind Nightingale, which then
// answers 499, three times.
func TestOverloadLosesNothing(t *testing.T) {
	n, x := newSimulator(t, settings{queueMaxSize: 100}), newTarget(t)
	k := startKinglet(t, x, configuration(n, "", ""))
	awaitPages(t, x, 3)
	for range 3 {
		before := n.answered(499)
		n.set(func() { n.stalled = true })
		harness.Eventually(t, time.Minute, "writes are answered 499", func() (bool, string) {
			return n.answered(499) > before+3, fmt.Sprint(n.answered(499))
		})
		n.set(func() { n.stalled = false })
		caughtUp(t, n, x)
	}
	k.stop(t)
	wantEveryPageOnce(t, n, x)
	for labels, samples := range n.series(`__name__="page"`) {
		if _, ms := pages(samples); !slices.IsSorted(ms) || len(slices.Compact(ms)) != len(samples)-markers(samples) {
			t.Fatalf("%s: times do not rise: %v", labels, samples)
		}
	}
}

func markers(samples []sample) int {
	numbers, _ := pages(samples)
	return len(samples) - len(numbers)
}

// TestARequestHasOneSampleOfASeries cuts Nightingale off for a while. What it
// missed comes in requests of one page each: of more it would stamp the first
// with its own clock, and the order of the others would be lost.
func TestARequestHasOneSampleOfASeries(t *testing.T) {
	for name, writer := range map[string]string{"told": `profile = "nightingale"`, "found out by the path": ""} {
		t.Run(name, func(t *testing.T) {
			n, x := newSimulator(t, shipped), newTarget(t)
			k := startKinglet(t, x, configuration(n, writer, ""))
			awaitPages(t, x, 3)
			start := time.Now()
			n.set(func() { n.offline = true })
			awaitPages(t, x, 20)
			n.set(func() { n.offline = false })
			caughtUp(t, n, x)
			k.stop(t)
			wantEveryPageOnce(t, n, x)
			wantOneSampleEach(t, n)
			for labels, samples := range n.series(`__name__="page"`) {
				for _, s := range samples {
					if s.ms%1000 != 0 || s.ms > time.Now().UnixMilli() {
						t.Errorf("%s has a sample that Nightingale did not stamp: %v, outage at %v", labels, s, start)
					}
				}
			}
		})
	}
}

func wantOneSampleEach(t *testing.T, n *simulator) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, r := range n.requests {
		if r.status == 200 && r.most > 1 {
			t.Errorf("request %d has %d samples of one series", i, r.most)
		}
	}
}

// TestMessage2IsNeverTried, not even where it is allowed: Nightingale would
// answer 200 and store nothing.
func TestMessage2IsNeverTried(t *testing.T) {
	n, x := newSimulator(t, shipped), newTarget(t)
	k := startKinglet(t, x, configuration(n, `protobuf_message = "auto"`, ""))
	awaitPages(t, x, 10)
	k.stop(t)
	wantEveryPageOnce(t, n, x)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.requests {
		if r.proto != "application/x-protobuf" || r.series == 0 {
			t.Errorf("a request of %s with %d series that Nightingale can read", r.proto, r.series)
		}
	}
}

// TestARestartInAnOutageKeepsWhatWaits kills kinglet while Nightingale is cut
// off. What it had logged comes after the restart, in requests of one page
// each.
func TestARestartInAnOutageKeepsWhatWaits(t *testing.T) {
	n, x := newSimulator(t, settings{queueMaxSize: 200}), newTarget(t)
	k := startKinglet(t, x, logged(n, fmt.Sprintf("queue_dir = %q", t.TempDir()), "", ""))
	awaitPages(t, x, 3)
	caughtUp(t, n, x)
	n.set(func() { n.offline = true })
	awaitPages(t, x, 15)
	pass(50 * time.Millisecond) // the page served last is read and logged
	k.Kill()
	killed := x.served.Load()
	k.Start(t)
	awaitPages(t, x, 10)
	n.set(func() { n.offline = false })
	caughtUp(t, n, x)
	k.stop(t)
	wantOneSampleEach(t, n)
	for labels, samples := range n.series(`__name__="page"`) {
		numbers, ms := pages(samples)
		times := map[int64]int64{}
		for i, number := range numbers {
			if at, twice := times[number]; twice && at != ms[i] {
				t.Errorf("%s: page %d is stored at %d and at %d", labels, number, at, ms[i])
			}
			times[number] = ms[i]
		}
		for number := range x.served.Load() - 1 {
			// A page that was on its way when kinglet was killed was read by
			// nobody.
			if _, ok := times[number+1]; !ok && number+1 != killed {
				t.Errorf("%s: page %d of %d is not stored; kinglet was killed at %d", labels, number+1, x.served.Load(), killed)
			}
		}
	}
}
