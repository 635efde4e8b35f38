//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a program that runs until the test stops it, or ends.
type process struct {
	name string
	args []string
	env  []string // beside PATH and what else this process has
	log  string   // path of what it prints

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

// newProcess describes a program; start runs it.
func newProcess(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{name: filepath.Base(name), args: append([]string{name}, args...), env: env}
	p.log = filepath.Join(t.TempDir(), p.name+".log")
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s printed at last:\n%s", p.name, p.tail(40))
		}
	})
	return p
}

// start runs the program; it may be called again when it has ended.
func (p *process) start(t *testing.T) {
	t.Helper()
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Start()
	out.Close()
	if err != nil {
		t.Fatalf("start %s: %v", p.name, err)
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	go func() {
		p.err = cmd.Wait()
		close(done)
	}()
}

// signal sends s to the program.
func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal %s: %v", p.name, err)
	}
}

// stop asks the program to end and wants exit code 0 in time.
func (p *process) stop(t *testing.T, within time.Duration) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(within):
		t.Fatalf("%s did not end within %v", p.name, within)
	}
	if p.err != nil {
		t.Fatalf("%s ended with %v", p.name, p.err)
	}
}

// kill ends the program if it runs, stopped or not, and waits for it.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// ended reports whether the program has ended.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// tail is the end of what the program printed.
func (p *process) tail(n int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// kinglet is the agent under test.
type kinglet struct {
	*process
	listen string // host:port of its health and metrics
}

// startKinglet runs the agent on the tree dir, whose [serve] listen is listen.
func startKinglet(t *testing.T, listen, dir string, args ...string) *kinglet {
	t.Helper()
	p := newProcess(t, []string{"HOSTNAME=node-1"}, binaries.kinglet, append([]string{"--configs", dir}, args...)...)
	p.start(t)
	return &kinglet{process: p, listen: listen}
}

// stop asks the agent to end: it must do so in an orderly way, in time.
func (k *kinglet) stop(t *testing.T) {
	t.Helper()
	k.process.stop(t, 15*time.Second)
}

// waitUp waits until the agent has scraped n targets and found them up.
func (k *kinglet) waitUp(t *testing.T, n int, within time.Duration) {
	t.Helper()
	eventually(t, within, fmt.Sprintf("%d targets up", n), func() (bool, string) {
		var page struct {
			Targets []struct{ URL, State, Error string }
		}
		if err := getJSON(k.url("/targets"), &page); err != nil {
			return false, err.Error()
		}
		up := 0
		for _, target := range page.Targets {
			if target.State == "up" {
				up++
			}
		}
		return up == n, fmt.Sprintf("%+v", page.Targets)
	})
}

func (k *kinglet) url(path string) string { return "http://" + k.listen + path }

// get fetches a page of at most 64 MiB.
func get(url string) (string, error) {
	client := http.Client{Timeout: 20 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err == nil && response.StatusCode/100 != 2 {
		err = errors.New(response.Status + ": " + string(body))
	}
	return string(body), err
}

func getJSON(url string, into any) error {
	body, err := get(url)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(body), into)
}
