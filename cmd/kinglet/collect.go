package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much garbage the collector lets come together: a share of what is alive,
// and from 16 MiB on no more than 4 MiB. What is allocated depends on how much
// is scraped and changes, and hardly on how much is alive, so that a share makes
// a large agent larger for nothing.
const (
	mostGarbagePercent  = 25
	leastGarbagePercent = 8
	mostGarbage         = 4 << 20

	garbageEvery = 10 * time.Second // the share is looked at
)

// garbagePercent is what debug.SetGCPercent is told when so many bytes are alive.
func garbagePercent(alive uint64) int {
	return int(min(max(mostGarbage*100/max(alive, 1), leastGarbagePercent), mostGarbagePercent))
}

// boundGarbage keeps the collector's share at garbagePercent until ctx ends, if
// GOGC does not say otherwise.
func boundGarbage(ctx context.Context, getenv func(string) (string, bool)) {
	if _, set := getenv("GOGC"); set {
		return
	}
	ticker := time.NewTicker(garbageEvery)
	defer ticker.Stop()
	alive := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for percent := mostGarbagePercent; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		metrics.Read(alive)
		if next := garbagePercent(alive[0].Value.Uint64()); next != percent {
			percent = next
			debug.SetGCPercent(percent)
		}
	}
}
