package queue

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// scrapeOf is the blocks of a scrape of 50,000 series: 40 bytes a sample, 1,000
// a block.
func scrapeOf(target uint64) []Block {
	blocks := make([]Block, 50)
	for i := range blocks {
		blocks[i] = Block{Stream: make([]byte, 40_000), RawLen: 250_000, Samples: 1000, Target: target, RowMs: time.Now().UnixMilli()}
	}
	return blocks
}

func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestTwoHoursOfOutageTakeLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 3 GB to a file system that keeps nothing")
	}
	synctest.Test(t, func(t *testing.T) {
		l := openTestLog(t, LogConfig{Dir: "queue", MaxBytes: 8 << 30, MemoryBytes: 16 << 20, files: nowhere{}}, nil)
		healthy, peak := int64(0), int64(0)
		for i := range 1440 { // every 5 s
			for _, b := range scrapeOf(1) {
				l.Append(b)
			}
			if i < 20 {
				for l.Stats().Samples > 0 {
					blocks, err := l.Next(t.Context(), Want{MaxSamples: 1000})
					if err != nil {
						t.Fatal(err)
					}
					l.Ack(len(blocks))
				}
				healthy = liveHeap()
			} else if i == 20 || i%100 == 99 {
				if _, err := l.Next(t.Context(), Want{MaxSamples: 10_000}); err != nil { // which is retried
					t.Fatal(err)
				}
				peak = max(peak, liveHeap())
			}
			pass(5 * time.Second)
			l.tend(time.Now())
		}
		grown := (peak - healthy) >> 10
		t.Logf("%d KiB more than when healthy, for %d segments", grown, l.Disk().Segments)
		if grown > 4<<10 {
			t.Errorf("%d KiB more than when healthy", grown)
		}
		if s := l.Stats(); s.Samples != 1420*50_000 {
			t.Errorf("%d samples wait", s.Samples)
		}
	})
}

func TestARecordIsHardlyLargerThanItsBlock(t *testing.T) {
	l := openTestLog(t, LogConfig{Dir: "queue", MaxBytes: 1 << 30, MemoryBytes: 1 << 20, files: newRAM()}, nil)
	wire := 0
	for _, b := range scrapeOf(1) {
		wire += len(b.Stream)
		l.Append(b)
	}
	if disk := l.Disk().Bytes; float64(disk) > 1.002*float64(wire) {
		t.Errorf("%d bytes on disk for %d on the wire", disk, wire)
	}
}

// afterOutage is a log with a backlog of ten minutes, a block each second, whose
// endpoint is back. Numbers of targets tell fresh blocks from old ones.
func afterOutage(t *testing.T, share float64) (*Log, Want) {
	l := openTestLog(t, LogConfig{Dir: "queue", MaxBytes: 1 << 30, MemoryBytes: 1 << 20, tailBytes: 1000, files: newRAM()}, nil)
	for range 600 {
		b := block('o', 100)
		b.Target = 1
		l.Append(b)
		pass(time.Second)
	}
	want := Want{MaxSamples: 500, Linger: time.Second, FreshShare: share}
	return l, want
}

// sends consumes for a while, during which a block comes each second, and writes
// each request as the first id of its blocks.
func sends(t *testing.T, l *Log, want Want, seconds int) string {
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	go func() {
		for time.Now().Before(end) {
			l.Append(block('f', 100))
			pass(time.Second)
		}
	}()
	var b strings.Builder
	ctx, cancel := context.WithDeadline(t.Context(), end)
	defer cancel()
	for {
		blocks, err := l.Next(ctx, want)
		if err != nil {
			break
		}
		b.WriteByte(blocks[0].Stream[0])
		l.Ack(len(blocks))
	}
	synctest.Wait()
	return b.String()
}

func TestFreshSamplesAreNotStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, want := afterOutage(t, 0.5)
		start := time.Now()
		got := sends(t, l, want, 60)
		fresh, old := strings.Count(got, "f"), strings.Count(got, "o")
		if first := strings.IndexByte(got, 'f'); first < 0 || first > 15 {
			t.Errorf("fresh samples wait behind the backlog: %s", got)
		}
		if old != 120 || fresh < 25 {
			t.Errorf("%d requests of fresh samples and %d of the backlog in %v: %s", fresh, old, time.Since(start), got)
		}
		if len(l.spans) != 1 {
			t.Errorf("%d spans when the backlog is gone", len(l.spans))
		}
	})
}

func TestWithoutAShareTheOldestGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, want := afterOutage(t, 0)
		if got := sends(t, l, want, 60); strings.TrimLeft(strings.TrimRight(got, "f"), "o") != "" {
			t.Errorf("got %s", got)
		}
	})
}

func TestABacklogIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, want := afterOutage(t, 0)
		start := time.Now()
		for l.Stats().Samples > 0 {
			blocks, err := l.Next(t.Context(), want)
			if err != nil {
				t.Fatal(err)
			}
			l.Ack(len(blocks))
		}
		// 60,000 samples, 100 of which come each second: 10 requests of 500 a second
		// are more than ten times that.
		if took := time.Since(start).Round(time.Second); took < 10*time.Second || took > 14*time.Second {
			t.Errorf("the backlog was sent in %v", took)
		}
	})
}

func TestAStopWithTwoSpansLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, want := afterOutage(t, 0.5)
		sends(t, l, want, 3)
		if len(l.spans) != 2 {
			t.Fatalf("%d spans", len(l.spans))
		}
		left := l.Stats().Samples
		l.Release()
		again := openTestLog(t, l.cfg, nil)
		if s := again.Stats(); s.Samples != left || len(again.spans) != 2 {
			t.Errorf("%d samples in %d spans wait, want %d in 2", s.Samples, len(again.spans), left)
		}
	})
}

func TestWhatWaitsForTooLongIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := dropped{}
		l := openTestLog(t, LogConfig{Dir: "queue", MaxBytes: 1 << 30, MemoryBytes: 1 << 20, MaxAge: 40 * time.Minute, files: newRAM()}, lost.add)
		for i := range 120 {
			b := block('a', 1)
			// A clock that jumps an hour ahead, and later back.
			b.RowMs = time.Now().UnixMilli()
			if i > 10 && i < 20 {
				b.RowMs += time.Hour.Milliseconds()
			}
			if i > 30 && i < 35 {
				b.RowMs -= time.Hour.Milliseconds()
			}
			l.Append(b)
			if i == 39 && len(lost) > 0 {
				t.Errorf("lost %v before anything was too old", lost)
			}
			pass(time.Minute)
			l.tend(time.Now())
		}
		if n := lost[ReasonAge]; n < 72 || n > 80 {
			t.Errorf("lost %v, want those of the first 80 minutes less what a segment holds", lost)
		}
		if s := l.Stats(); s.Samples+lost[ReasonAge] != 120 {
			t.Errorf("%d wait, lost %v", s.Samples, lost)
		}
	})
}
