//go:build e2e

package sidebyside

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// agent is the kinglet binary, which pushes to the side's receiver.
type agent struct {
	side    *side
	version string // of remote write
	dir     string // of its configuration
	log     string // path of what it prints

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

func newKinglet(t *testing.T, w *world, name, version string) *side {
	t.Helper()
	s := newSide(t, w, name)
	s.receiver = newReceiver(t, s.db, version)
	dir := t.TempDir()
	s.scraper = &agent{
		side: s, version: version, dir: filepath.Join(dir, "conf"), log: filepath.Join(dir, "log"), done: make(chan struct{}),
	}
	return s
}

// write brings the configuration up to date. A job without targets has no
// file.
func (a *agent) write(active map[string]bool) error {
	root, err := kingletRoot(a.side.receiver.url(), a.version)
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(a.dir, "config.toml"), root); err != nil {
		return err
	}
	for _, j := range a.side.world.jobs {
		path := filepath.Join(a.dir, "input.prometheus", j.name+".toml")
		addresses := a.side.addresses(j.name, active)
		if len(addresses) == 0 {
			if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
				return err
			}
			continue
		}
		text, err := kingletInput(j, addresses)
		if err != nil {
			return err
		}
		if err := replaceFile(path, text); err != nil {
			return err
		}
	}
	return nil
}

// replaceFile writes a file if it is to change. The agent may be watching: it
// sees the old file or the new one.
func replaceFile(path, text string) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == text {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (a *agent) start(t *testing.T, active map[string]bool) {
	t.Helper()
	if err := a.write(active); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(a.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	a.cmd = exec.Command(binary, "--configs", a.dir)
	a.cmd.Stdout, a.cmd.Stderr = out, out
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		a.err = a.cmd.Wait()
		close(a.done)
	}()
	t.Cleanup(func() {
		_ = a.cmd.Process.Kill() // it may have ended
		<-a.done
		if t.Failed() {
			t.Logf("%s printed at last:\n%s", a.side.name, a.tail(15))
		}
	})
}

func (a *agent) apply(active map[string]bool) error {
	if err := a.write(active); err != nil {
		return err
	}
	return a.cmd.Process.Signal(syscall.SIGHUP)
}

func (a *agent) ended() string {
	select {
	case <-a.done:
		return fmt.Sprintf("%v\n%s", a.err, a.tail(20))
	default:
		return ""
	}
}

// stop asks the agent to end; it flushes and exits with 0.
func (a *agent) stop(t *testing.T) {
	t.Helper()
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-a.done:
		if a.err != nil {
			t.Errorf("%s ended with %v", a.side.name, a.err)
		}
	case <-time.After(15 * time.Second):
		t.Errorf("%s did not end within 15 s of SIGTERM", a.side.name)
	}
}

// tail is the end of what the agent printed.
func (a *agent) tail(n int) string {
	text, err := os.ReadFile(a.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
