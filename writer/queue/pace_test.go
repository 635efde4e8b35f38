package queue

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestADiskIsTrustedWhileItIsQuick(t *testing.T) {
	var p pace
	now := time.Unix(1_790_000_000, 0)
	if p.trusted(now) {
		t.Error("a disk is trusted before it was written to")
	}
	for range quickBefore {
		p.took(time.Millisecond, now)
	}
	if !p.trusted(now) {
		t.Error("a quick disk is not trusted")
	}
	p.took(slowWrite, now)
	for range quickBefore {
		p.took(time.Millisecond, now)
	}
	if p.trusted(now.Add(distrust - time.Second)) {
		t.Error("a disk is trusted soon after a slow write")
	}
	if !p.trusted(now.Add(distrust)) {
		t.Error("a disk that is quick again is never trusted")
	}
}

func TestATrustedDiskHoldsWhatIsWritten(t *testing.T) {
	d := disk{pace: new(pace)}
	name := filepath.Join(t.TempDir(), "f")
	f, err := d.Open(name, true)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := make([]byte, 0, 200)
	for i := range byte(200) { // the first are written as any file is
		want = append(want, i)
		if n, err := f.WriteAt([]byte{i}, int64(i)); n != 1 || err != nil {
			t.Fatalf("%d bytes written, error %v", n, err)
		}
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != string(want) {
		t.Errorf("the file holds %v, error %v", got, err)
	}
	if !d.Is(f, name) {
		t.Error("the file is not the one of its name")
	}
	if _, err := f.WriteAt(nil, 0); err != nil {
		t.Errorf("nothing to write: error %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		t.Error("a closed file was written to")
	}
}
