package queue

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// threeRecords writes a, b and c into one segment and gives its name, its bytes
// and where each record ends.
func threeRecords(t *testing.T) (cfg LogConfig, name string, data []byte, ends []int) {
	t.Helper()
	cfg = LogConfig{Dir: "queue", MaxBytes: 1 << 20, MemoryBytes: 1 << 20, files: newRAM()}
	l := openTestLog(t, cfg, nil)
	for i, id := range []byte("abc") {
		b := block(id, i+1)
		b.Stream = b.Stream[:20+i]
		b.Target, b.RowMs, b.MinMs, b.MaxMs, b.Extended = 1<<63+uint64(i), 1000, -5, 2000, i == 1
		l.Append(b)
		ends = append(ends, int(l.Disk().Bytes))
	}
	l.Release()
	name = segmentName(cfg.Dir, 1)
	data, err := cfg.files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, name, data, ends // behind them the end is marked
}

// reopened opens the log with data as its only segment, reads all there is, and
// gives what came and what was lost.
func reopened(t *testing.T, cfg LogConfig, name string, data []byte) (got []Block, lost dropped, d Disk) {
	t.Helper()
	cfg.files = newRAM()
	if err := cfg.files.WriteFile(name, data); err != nil {
		t.Fatal(err)
	}
	lost = dropped{}
	l := openTestLog(t, cfg, lost.add)
	l.Close()
	for {
		blocks, err := l.Next(t.Context(), Want{MaxSamples: 2})
		if err != nil {
			break
		}
		got = append(got, blocks...)
		l.Ack(len(blocks))
	}
	if s := l.Stats(); s.Samples != 0 || s.Blocks != 0 || s.Bytes != 0 {
		t.Errorf("nothing waits, and stats tell %+v", s)
	}
	return got, lost, l.Disk()
}

func mustGlob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestRecordsKeepAllOfABlock(t *testing.T) {
	cfg, name, data, _ := threeRecords(t)
	got, _, _ := reopened(t, cfg, name, data)
	for i := range got {
		want := Block{Stream: got[i].Stream, RawLen: 1000, Samples: i + 1, Target: 1<<63 + uint64(i), RowMs: 1000, MinMs: -5, MaxMs: 2000, Extended: i == 1}
		if len(want.Stream) != 20+i {
			t.Errorf("block %d has %d bytes", i, len(want.Stream))
		}
		got[i].Queued = want.Queued
		if diff := cmp.Diff(want, got[i]); diff != "" {
			t.Error(diff)
		}
	}
	if len(got) != 3 {
		t.Errorf("%d blocks", len(got))
	}
}

func TestAFlippedBitCostsItsRecord(t *testing.T) {
	cfg, name, data, ends := threeRecords(t)
	for bit := range 8 * len(data) {
		record := 0
		for record < len(ends) && bit/8 >= ends[record] {
			record++
		}
		damaged := append([]byte(nil), data...)
		damaged[bit/8] ^= 1 << (bit % 8)
		got, lost, d := reopened(t, cfg, name, damaged)
		if want := []string{"bc", "ac", "ab", "abc"}[record]; ids(got) != want {
			t.Fatalf("bit %d of byte %d: got %q, want %q", bit%8, bit/8, ids(got), want)
		}
		if record == len(ends) {
			if len(lost) > 0 || d.Damaged > 0 {
				t.Fatalf("bit %d of byte %d: lost %v; %+v", bit%8, bit/8, lost, d)
			}
			continue
		}
		inStream := bit/8 >= ends[record]-(20+record)
		if inStream && lost[ReasonDamaged] != record+1 {
			t.Fatalf("bit %d of byte %d: %v samples counted, want those of the record", bit%8, bit/8, lost)
		}
		if d.Damaged != 1 {
			t.Fatalf("bit %d of byte %d: %d records counted as damaged", bit%8, bit/8, d.Damaged)
		}
	}
}

func TestATruncatedSegmentKeepsItsWholeRecords(t *testing.T) {
	cfg, name, data, ends := threeRecords(t)
	for size := range data {
		want := ""
		for i, end := range ends {
			if size >= end {
				want += string("abc"[i])
			}
		}
		got, lost, d := reopened(t, cfg, name, data[:size])
		if ids(got) != want || len(lost) > 0 || d.Damaged > 0 {
			t.Fatalf("cut to %d bytes: got %q, want %q; lost %v; %+v", size, ids(got), want, lost, d)
		}
	}
}

func TestADamagedSegmentCostsNoNeighbour(t *testing.T) {
	dir := t.TempDir()
	cfg := LogConfig{Dir: dir, MaxBytes: 1 << 20, MemoryBytes: 1 << 20, segmentBytes: 3 * recordBytes}
	l := openTestLog(t, cfg, nil)
	for _, id := range []byte("abcdefghi") {
		l.Append(block(id, 1))
	}
	l.Release()
	names := mustGlob(t, filepath.Join(dir, "*"+segmentSuffix))
	if len(names) != 3 {
		t.Fatalf("%d segments", len(names))
	}
	for damage, junk := range map[string][]byte{"empty": {}, "zeros": make([]byte, 600), "a directory of magic": []byte("KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01KQ\x01")} {
		t.Run(damage, func(t *testing.T) {
			if err := os.WriteFile(names[1], junk, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(filepath.Join(dir, markName), 0); err != nil {
				t.Fatal(err)
			}
			l := openTestLog(t, cfg, nil)
			blocks, err := l.Next(t.Context(), Want{MaxSamples: 100})
			if err != nil || ids(blocks) != "abcghi" {
				t.Errorf("got %q, %v", ids(blocks), err)
			}
			l.Release()
		})
	}
}
