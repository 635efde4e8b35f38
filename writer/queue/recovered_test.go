package queue

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// rows tells what Recovered gives, as target@seconds since start.
func recoveredRows(l *Log, start time.Time) map[string]bool {
	got := map[string]bool{}
	for b := range l.Recovered() {
		got[fmt.Sprintf("%d@%d", b.Target, (b.RowMs-start.UnixMilli())/1000)] = true
	}
	return got
}

func TestTheLastRowsAreKnownAtTheNextStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newRAM()
		cfg := LogConfig{Dir: "queue", MaxBytes: 1 << 30, MemoryBytes: 1 << 20, files: fs}
		l := openTestLog(t, cfg, nil)
		start := time.Now()
		for range 100 { // 100 s of 400 KB a second: ten segments
			for target := range uint64(10) {
				b := Block{Stream: make([]byte, 40_000), Samples: 1000, Target: target, RowMs: time.Now().UnixMilli()}
				l.Append(b)
			}
			for l.Stats().Samples > 0 {
				blocks, err := l.Next(t.Context(), Want{MaxSamples: 10_000})
				if err != nil {
					t.Fatal(err)
				}
				l.Ack(len(blocks))
			}
			pass(time.Second)
		}
		if d := l.Disk(); d.Bytes > defaultRetainBytes+3*defaultSegmentBytes || d.Bytes < defaultRetainBytes-defaultSegmentBytes {
			t.Errorf("%d bytes of what is acknowledged are kept", d.Bytes)
		}
		l.tend(time.Now())
		fs.crash()
		again := openTestLog(t, cfg, nil)
		got := recoveredRows(again, start)
		for target := range 10 {
			for _, at := range []int{99, 98, 85} {
				if row := fmt.Sprintf("%d@%d", target, at); !got[row] {
					t.Errorf("row %s is not known", row)
				}
			}
		}
		if s := again.Stats(); s != (Stats{}) {
			t.Errorf("what was acknowledged waits: %+v", s)
		}
		pass(time.Hour)
		again.Append(block('a', 1))
		again.tend(time.Now())
		if d := again.Disk(); d.Segments != 1 {
			t.Errorf("%d segments are left when all is old", d.Segments)
		}
		if got := recoveredRows(again, start); len(got) > 60 {
			t.Errorf("%d rows of removed segments", len(got)) // the spare one's at most
		}
	})
}

func TestRecoveredEndsWhereItsCallerDoes(t *testing.T) {
	cfg, name, data, _ := threeRecords(t)
	cfg.files = newRAM()
	if err := cfg.files.WriteFile(name, append(data[:len(data):len(data)], "KQ torn"...)); err != nil {
		t.Fatal(err)
	}
	l := openTestLog(t, cfg, nil)
	n := 0
	for range l.Recovered() {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d records", n)
	}
}
