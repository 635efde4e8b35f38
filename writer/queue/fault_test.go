package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// life is what a test knows of a log's consumer.
type life struct {
	t    *testing.T
	l    *Log
	got  []byte // ids acknowledged, in order
	lost int    // samples counted as lost
}

// consume takes and acknowledges one request, if one comes within a minute.
func (c *life) consume(want Want) bool {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	blocks, err := c.l.Next(ctx, want)
	if err != nil {
		return false
	}
	c.got = append(c.got, ids(blocks)...)
	c.l.Ack(len(blocks))
	return true
}

// scenario is two lives of a log: each appends, sends a part, and leaves the rest.
func scenario(t *testing.T, cfg LogConfig) *life {
	c := &life{t: t}
	open := func() {
		var err error
		if c.l, err = OpenLog(cfg, func(samples int, _ string) { c.lost += samples }, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	for _, part := range []string{"abcdefgh", "ijklmnop"} {
		open()
		for i, id := range []byte(part) {
			c.l.Append(block(id, 1))
			pass(time.Second)
			c.l.tend(time.Now())
			if i%4 == 3 {
				c.consume(Want{MaxSamples: 2})
			}
		}
		pass(retryEvery)
		c.l.tend(time.Now())
		lost, _ := c.l.Release()
		c.lost += lost
	}
	open()
	for range 10 { // until the disk works again
		pass(retryEvery)
		c.l.tend(time.Now())
	}
	c.l.Close()
	for c.consume(Want{MaxSamples: 3}) {
	}
	lost, _ := c.l.Release()
	c.lost += lost
	return c
}

func TestAFaultInAnyOperationLosesNothing(t *testing.T) {
	const all = "abcdefghijklmnop"
	run := func(t *testing.T, broken syscall.Errno, from, forOps int) (ops int) {
		synctest.Test(t, func(t *testing.T) {
			fs := &faulty{files: newRAM()}
			failing := ""
			fs.fault = func(op, name string) error {
				if fs.ops > from && fs.ops <= from+forOps {
					failing += op + " "
					return broken
				}
				return nil
			}
			c := scenario(t, LogConfig{
				Dir: "queue", MaxBytes: 1 << 20, MemoryBytes: 1 << 20, segmentBytes: 3 * recordBytes, tailBytes: 1, files: fs, Sync: SyncInterval,
			})
			ops = fs.ops
			sorted := slices.Sorted(slices.Values(c.got))
			missing := len(all) - len(slices.Compact(slices.Clone(sorted)))
			if missing != c.lost || missing > 0 && forOps == 1 {
				t.Errorf("%v at operation %d for %d (%s): got %s, lost %d", broken, from, forOps, failing, c.got, c.lost)
			}
			if forOps == 0 && string(c.got) != all {
				t.Errorf("got %s", c.got)
			}
		})
		return ops
	}
	ops := run(t, 0, 0, 0)
	if ops < 50 {
		t.Fatalf("%d operations", ops)
	}
	for _, broken := range []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS} {
		for _, forOps := range []int{1, 7} {
			for from := range ops {
				run(t, broken, from, forOps)
			}
		}
	}
}

func TestADiskThatIsFullForLongKeepsWhatFitsInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := &faulty{files: newRAM()}
		lost := dropped{}
		room := 4 * (100 + entryOverhead)
		l := openTestLog(t, LogConfig{Dir: "queue", MaxBytes: 1 << 20, MemoryBytes: room, segmentBytes: 2 * recordBytes, tailBytes: 1, files: fs}, lost.add)
		for _, id := range []byte("abc") {
			l.Append(block(id, 1))
		}
		fs.set(func(op, name string) error {
			if op == "write" || op == "create" {
				return syscall.EIO
			}
			return nil
		})
		for _, id := range []byte("defghi") {
			l.Append(block(id, 1))
		}
		if d := l.Disk(); !errors.Is(d.Err, syscall.EIO) || d.Failures == 0 {
			t.Errorf("got %+v", d)
		}
		if lost[ReasonFull] != 2 { // d and e: the oldest in memory
			t.Errorf("lost %v", lost)
		}
		fs.set(nil)
		pass(retryEvery)
		l.tend(time.Now())
		if d := l.Disk(); d.Err != nil || d.Bytes != 7*recordBytes {
			t.Errorf("after recovery: %+v", d)
		}
		if got := next(t, l, 100); got != "abcfghi" {
			t.Errorf("got %q", got)
		}
	})
}

func TestAFullDiskCostsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := &faulty{files: newRAM()}
		lost := dropped{}
		l := openTestLog(t, LogConfig{
			Dir: "queue", MaxBytes: 1 << 20, MemoryBytes: 2 * (100 + entryOverhead), segmentBytes: 2 * recordBytes, tailBytes: 1, files: fs,
		}, lost.add)
		used := func() (n int64) { return l.diskBytes }
		fs.set(func(op, name string) error {
			if strings.HasSuffix(name, segmentSuffix) && op == "write" && used() >= 4*recordBytes {
				return syscall.ENOSPC
			}
			return nil
		})
		for _, id := range []byte("abcdefghijkl") {
			l.Append(block(id, 1))
		}
		got := next(t, l, 100)
		if len(got)+lost[ReasonFull] != 12 || !strings.HasSuffix("abcdefghijkl", got) || len(got) < 4 {
			t.Errorf("got %q, lost %v, want the newest", got, lost)
		}
	})
}

func TestADirectoryThatVanishesIsMadeAnew(t *testing.T) {
	dir := t.TempDir() + "/queue"
	cfg := LogConfig{Dir: dir, MaxBytes: 1 << 20, MemoryBytes: 1 << 20, segmentBytes: 2 * recordBytes}
	l := openTestLog(t, cfg, nil)
	for _, id := range []byte("abcde") {
		l.Append(block(id, 1))
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	l.tend(time.Now())
	if d := l.Disk(); d.Err != nil || d.Bytes != 5*recordBytes {
		t.Errorf("got %+v", d)
	}
	l.Append(block('f', 1))
	l.Release()
	again := openTestLog(t, cfg, nil)
	if got := next(t, again, 6); got != "abcdef" {
		t.Errorf("got %q", got)
	}
}

func TestADirectoryThatCannotBeMadeIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := &faulty{files: newRAM()}
		cfg := LogConfig{Dir: "queue", MaxBytes: 1 << 20, MemoryBytes: 1 << 20, files: fs}
		before := openTestLog(t, cfg, nil)
		for _, id := range []byte("abc") {
			before.Append(block(id, 1))
		}
		before.Release()
		fs.set(func(op, _ string) error {
			if op == "mkdir" {
				return syscall.EACCES
			}
			return nil
		})
		l := openTestLog(t, cfg, nil)
		l.Append(block('d', 1))
		if got := next(t, l, 1); got != "d" {
			t.Errorf("got %q", got)
		}
		fs.set(nil)
		pass(retryEvery)
		l.Append(block('e', 1))
		if d := l.Disk(); d.Err != nil || d.Bytes != 5*recordBytes {
			t.Errorf("got %+v", d)
		}
		l.Ack(1)
		if got := next(t, l, 4); got != "abc" {
			t.Errorf("got %q", got)
		}
		l.Ack(3)
		if got := next(t, l, 4); got != "e" {
			t.Errorf("got %q", got)
		}
	})
}

func TestTwoLogsOnOneDirectory(t *testing.T) {
	cfg := LogConfig{Dir: t.TempDir(), MaxBytes: 1 << 20, MemoryBytes: 1 << 20}
	openTestLog(t, cfg, nil)
	_, err := OpenLog(cfg, nil, slog.New(slog.DiscardHandler))
	if want := fmt.Sprintf("%s: %s", cfg.Dir, ErrInUse); err == nil || err.Error() != want || !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want %s", err, want)
	}
}
