package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

func TestGarbageIsAShareOfWhatIsAliveAndBounded(t *testing.T) {
	for _, tt := range []struct {
		alive uint64
		want  int
	}{{0, 25}, {10 << 20, 25}, {16 << 20, 25}, {20 << 20, 20}, {40 << 20, 10}, {1 << 30, 8}} {
		if got := garbagePercent(tt.alive); got != tt.want {
			t.Errorf("%d bytes alive: %d percent, want %d", tt.alive, got, tt.want)
		}
	}
}

func TestTheCollectorFollowsWhatIsAlive(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	ballast := make([]byte, 64<<20)
	for i := range ballast {
		ballast[i] = 1
	}
	for _, tt := range []struct {
		env  bool
		want func(percent int) bool
	}{{false, func(p int) bool { return p < 10 }}, {true, func(p int) bool { return p == 100 }}} {
		debug.SetGCPercent(100)
		debug.FreeOSMemory() // a whole collection, so that what is alive is known
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), garbageEvery+time.Second)
			defer cancel()
			boundGarbage(ctx, func(string) (string, bool) { return "100", tt.env })
		})
		if got := debug.SetGCPercent(100); !tt.want(got) {
			t.Errorf("GOGC set %v: %d percent", tt.env, got)
		}
	}
	runtime.KeepAlive(ballast)
}
