//go:build e2e

package faults

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestNothingIsLostByKills kills kinglet again and again, while its endpoint
// works, while it does not, while a backlog drains, and while it starts.
func TestNothingIsLostByKills(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	rng := random()
	between := func(from, to time.Duration) time.Duration { return from + time.Duration(rng.Int64N(int64(to-from))) }
	phases := map[string]int{}
	for range suite.kills {
		w.start(t)
		switch p := rng.IntN(10); {
		case p < 3:
			phases["health"]++
			w.sink.up(t)
			w.sink.behave(pick(rng, healthy, slow, muteAtTimes, tooLarge))
			pass(t, between(300*time.Millisecond, 1500*time.Millisecond))
		case p < 6:
			phases["outage"]++
			fail(w, rng)
			pass(t, between(300*time.Millisecond, 1500*time.Millisecond))
		case p < 9:
			phases["drain"]++
			fail(w, rng)
			pass(t, between(300*time.Millisecond, 1200*time.Millisecond))
			w.sink.up(t)
			w.sink.behave(pick(rng, healthy, slow, muteAtTimes))
			pass(t, between(0, 600*time.Millisecond))
		default:
			phases["start"]++
			pass(t, between(0, 250*time.Millisecond))
		}
		w.kill()
	}
	w.start(t)
	w.sink.up(t)
	w.sink.behave(healthy)
	w.served(t, 3)
	v := w.settle(t, time.Minute)
	t.Logf("%d kills: %v", suite.kills, phases)
	v.check(t)
	v.inOrder(t)
}

// fail makes the endpoint fail in one of its ways.
func fail(w *world, rng *rand.Rand) {
	if rng.IntN(3) == 0 {
		w.sink.down()
		return
	}
	w.sink.behave(pick(rng, refusing, hanging))
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }
