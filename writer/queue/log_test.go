package queue

import (
	"log/slog"
	"testing"
)

// recordBytes is what a block of the suite takes on disk.
const recordBytes = 100 + headerSize

func openTestLog(t *testing.T, cfg LogConfig, onDrop OnDrop) *Log {
	t.Helper()
	l, err := OpenLog(cfg, onDrop, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Release() })
	return l
}

func TestLog(t *testing.T) {
	for _, tt := range []struct {
		name string
		tail int
	}{
		{"what was appended is sent from memory", 1 << 20},
		{"what was appended is read back", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			suite(t, func(t *testing.T, room int, onDrop OnDrop) Queue {
				return openTestLog(t, LogConfig{
					Dir: t.TempDir(), MaxBytes: int64(room * recordBytes), MemoryBytes: 1 << 20, segmentBytes: 1, tailBytes: tt.tail,
				}, onDrop)
			})
		})
	}
}
