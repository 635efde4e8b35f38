//go:build e2e

package sidebyside

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"kinglet/e2e/harness"
)

// agent is the kinglet binary, which pushes to the side's receiver.
type agent struct {
	*harness.Process
	side    *side
	version string // of remote write
	dir     string // of its configuration
}

func newKinglet(t *testing.T, w *world, name, version string) *side {
	t.Helper()
	s := newSide(t, w, name)
	s.receiver = newReceiver(t, s.db, version)
	dir := t.TempDir()
	a := &agent{Process: harness.NewProcess(t, nil, binary, "--configs", dir), side: s, version: version, dir: dir}
	a.Name = name
	s.scraper = a
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
	a.Start(t)
}

func (a *agent) apply(active map[string]bool) error {
	if err := a.write(active); err != nil {
		return err
	}
	return a.Signal(syscall.SIGHUP)
}

func (a *agent) ended() string {
	if ended, how := a.Ended(); ended {
		return fmt.Sprintf("%v\n%s", how, a.Tail(20))
	}
	return ""
}

// stop asks the agent to end; it flushes and exits with 0.
func (a *agent) stop(t *testing.T) {
	t.Helper()
	a.Stop(t, 15*time.Second)
}
