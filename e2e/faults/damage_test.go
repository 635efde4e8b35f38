//go:build e2e

package faults

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestDamageCostsOneRecord spoils the newest file of the log while kinglet is
// dead: the scrape whose record it was is counted as lost, and no other is.
func TestDamageCostsOneRecord(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(data []byte) []byte
		says  bool // kinglet counts it: it cannot know of a record that never came to its end
	}{
		{"a bit is flipped", func(data []byte) []byte { data[len(data)/2] ^= 1; return data }, true},
		{"the end is torn", func(data []byte) []byte { return data[:len(data)-1] }, false},
		{"rubbish is behind the end", func(data []byte) []byte { return append(data, "KQ\x01rubbish"...) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{lasting: true})
			w.start(t)
			w.served(t, 3)
			w.backlog(t, 10)
			w.kill()
			spoilNewest(t, w.queueDir, tt.spoil)
			w.start(t)
			w.sink.up(t)
			w.served(t, 2)
			v := w.settle(t, time.Minute)
			t.Log(v)
			if len(v.lost) > 1 || tt.says && len(v.lost) != 1 {
				t.Errorf("%d scrapes are lost, want one\n%s", len(v.lost), some(v.lost))
			}
			counted, _ := w.agent.metric("kinglet_writer_samples_dropped_total")
			if tt.says && counted != float64(v.lostSamples()) {
				t.Errorf("%d samples are lost, %v were counted", v.lostSamples(), counted)
			}
			v.lost = nil
			v.check(t)
			v.inOrder(t)
		})
	}
}

func spoilNewest(t *testing.T, dir string, spoil func([]byte) []byte) {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(dir, "*", "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("the log in %s has no segment: %v", dir, err)
	}
	newest := slices.Max(segments) // their names are numbers of one width
	data, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(newest, spoil(data), 0o644); err != nil {
		t.Fatal(err)
	}
}
