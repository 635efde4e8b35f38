package doctor_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"kinglet/writer/doctor"
)

func TestQueueDirIsLookedAt(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs what Linux tells of disks")
	}
	base := t.TempDir()
	write := func(name string) string {
		path := filepath.Join(base, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	closed := filepath.Join(base, "closed")
	if err := os.Mkdir(closed, 0o500); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		claim string
		dir   string
		need  int64
		check string
		grade doctor.Grade
		says  string
		root  bool // holds for root too
	}{
		{"one that is there", base, 1 << 20, "directory", doctor.OK, "is there", true},
		{"one that can be made", filepath.Join(base, "a", "b"), 1 << 20, "directory", doctor.OK, "will be made, " + base + " is", true},
		{"one that can be written", base, 1 << 20, "writable", doctor.OK, "could be written", true},
		{"a file", write("file"), 1 << 20, "directory", doctor.Fail, "is no directory", true},
		{"below a file", filepath.Join(write("other"), "queue"), 1 << 20, "directory", doctor.Fail, "is no directory", true},
		{"another's", closed, 1 << 20, "writable", doctor.Fail, "may not write there", false},
		{"read-only", "/proc", 1 << 20, "writable", doctor.Fail, "until that is mended", true},
		{"room enough", base, 1 << 20, "space", doctor.OK, "free", true},
		{"no room for what may wait", base, 1 << 60, "space", doctor.Warn, "lower queue_max_bytes", true},
		{"memory", "/dev/shm", 1, "medium", doctor.Warn, "gone when the node restarts", true},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			if os.Geteuid() == 0 && !tt.root {
				t.Skip("root may write anywhere")
			}
			if _, err := os.Stat(tt.dir); err != nil && strings.HasPrefix(tt.dir, "/dev") {
				t.Skip(err)
			}
			r := doctor.QueueDir(tt.dir, tt.need)
			if got := find(t, r, tt.check); got.Grade != tt.grade || !strings.Contains(got.Detail, tt.says) {
				t.Errorf("got %s: %s\nwant %s: ...%s...", got.Grade, got.Detail, tt.grade, tt.says)
			}
		})
	}
	left, err := filepath.Glob(filepath.Join(base, ".doctor-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind %q, %v", left, err)
	}
}
