//go:build e2e

package faults

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAFullDiskCostsNothing fills the disk below the log while the endpoint is
// away, and frees it again.
func TestAFullDiskCostsNothing(t *testing.T) {
	t.Parallel()
	if !mayMount() {
		inNamespace(t)
		return
	}
	disk := mountSmall(t, "32m")
	w := newWorld(t, setup{queueDir: filepath.Join(disk, "queue")})
	w.start(t)
	w.served(t, 3)
	w.backlog(t, 3)

	fill(t, disk)
	w.degraded(t)
	w.served(t, 10)
	free(t, disk)
	w.recovered(t)
	w.served(t, 3)
	w.sink.up(t)
	w.flowing(t, 1000)

	// Filled up once more: this time the endpoint comes back before the room.
	fill(t, disk)
	w.backlog(t, 10)
	w.sink.up(t)
	w.flowing(t, 1000)
	free(t, disk)
	w.recovered(t)

	// With the room the promise is back.
	w.killed(t, 5)
	w.allArrived(t)
}

// TestAFolderThatGoesAwayIsMadeAgain takes the log's folder from under the
// running kinglet: what it takes along is counted, to the sample.
func TestAFolderThatGoesAwayIsMadeAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		inPlace func(t *testing.T, dir string)
		repair  func(t *testing.T, dir string)
	}{
		{"removed", func(*testing.T, string) {}, func(*testing.T, string) {}},
		{"a file stands in its place", func(t *testing.T, dir string) {
			if err := os.WriteFile(dir, []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, func(t *testing.T, dir string) {
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{lasting: true})
			w.start(t)
			w.served(t, 3)
			w.backlog(t, 5)
			removeAll(t, w.queueDir)
			tt.inPlace(t, w.queueDir)
			w.served(t, 10)
			if !w.agent.running() {
				t.Fatal("kinglet ended")
			}
			tt.repair(t, w.queueDir)
			w.recovered(t)
			w.sink.up(t)
			w.flowing(t, 2000)
			lost, _ := w.agent.metric("kinglet_writer_samples_dropped_total")

			w.killed(t, 5)
			v := w.settle(t, time.Minute)
			t.Log(v)
			if n := float64(v.lostSamples()); n != lost {
				t.Errorf("%v samples are lost, %v were counted\n%s", n, lost, some(v.lost))
			}
			v.lost = nil
			v.check(t)
		})
	}
}

// TestAReadOnlyFolderIsSaidAndSurvived starts on a folder that may not be
// written, which is then permitted.
func TestAReadOnlyFolderIsSaidAndSurvived(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	if err := os.MkdirAll(w.queueDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // root may write anyway
		w.agent.As = &syscall.Credential{Uid: 65534, Gid: 65534}
		w.agent.Args[0] = filepath.Join(w.agent.conf, "kinglet") // its own folder may be root's alone
		copyFile(t, w.agent.Args[0], suite.binary)
		open(t, w.agent.conf)
		open(t, w.queueDir)
	}
	chmod(t, w.queueDir, 0o555)
	w.start(t)
	w.degraded(t)
	w.served(t, 5)
	w.flowing(t, 1000)

	chmod(t, w.queueDir, 0o777)
	w.recovered(t)
	w.killed(t, 5)
	w.allArrived(t)
}

// TestTwoOnOneFolderIsRefused starts a second kinglet on the folder of the
// first, as happens when two are deployed on a node.
func TestTwoOnOneFolderIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.start(t)
	w.served(t, 2)
	second := newAgent(t, w.agent.conf, w.agent.listen)
	second.start(t)
	if err := second.Wait(t, 10*time.Second); err == nil {
		t.Error("the second kinglet ended with 0")
	}
	if len(second.lines(w.queueDir)) == 0 {
		t.Errorf("the second kinglet does not name the folder:\n%s", second.Tail(5))
	}
	w.killed(t, 3)
	w.allArrived(t)
}

// degraded waits until kinglet says that it works in memory only.
func (w *world) degraded(t *testing.T) {
	t.Helper()
	w.agent.waitMetric(t, 30*time.Second, func(v float64) bool { return v == 1 }, memoryOnlyMetric)
}

// recovered waits until kinglet writes its log.
func (w *world) recovered(t *testing.T) {
	t.Helper()
	eventually(t, 45*time.Second, "there is a log again", func() (bool, string) {
		segments, err := filepath.Glob(filepath.Join(w.queueDir, "*", "*.seg"))
		return len(segments) > 0, fmt.Sprint(err)
	})
	w.agent.waitMetric(t, 45*time.Second, func(v float64) bool { return v == 0 }, memoryOnlyMetric)
}

const memoryOnlyMetric = "kinglet_writer_queue_disk_failed"

// mayMount reports whether this process is root, of the machine or of a
// namespace of its own.
func mayMount() bool { return os.Geteuid() == 0 }

// inNamespace runs the test once more as root of a namespace of its own, where
// file systems can be mounted.
func inNamespace(t *testing.T) {
	t.Helper()
	again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), "KINGLET_BIN="+suite.binary, fmt.Sprintf("FAULTS_SEED=%d", suite.seed))
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	text, err := again.CombinedOutput()
	if _, ran := errors.AsType[*exec.ExitError](err); err != nil && !ran {
		t.Skipf("a small disk cannot be mounted here: %v; run as root", err)
	}
	t.Logf("as root of a namespace:\n%s", text)
	if bytes.Contains(text, []byte("--- SKIP")) {
		t.SkipNow()
	}
	if err != nil {
		t.Error(err)
	}
}

// mountSmall is a file system of that size, the test's own.
func mountSmall(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755,size="+size); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fill writes until nothing goes any more.
func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "filler"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	chunk := []byte(strings.Repeat("x", 1<<16))
	for len(chunk) > 0 {
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			chunk = chunk[:len(chunk)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func free(t *testing.T, dir string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
}

// removeAll removes dir while its files may come and go.
func removeAll(t *testing.T, dir string) {
	t.Helper()
	eventually(t, 5*time.Second, "the folder is removed", func() (bool, string) {
		err := os.RemoveAll(dir)
		return err == nil, ""
	})
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, dir string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
}

// open lets everyone reach dir, which is somewhere below the folder of
// temporary files.
func open(t *testing.T, dir string) {
	t.Helper()
	for dir = filepath.Clean(dir); dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		chmod(t, dir, 0o755)
	}
}
