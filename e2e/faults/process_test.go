//go:build e2e

package faults

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// agent is the kinglet under test; it may be started many times.
type agent struct {
	binary string
	conf   string // folder of its configuration
	log    string // path of what it prints
	listen string // host:port of its pages
	as     *syscall.Credential

	started time.Time
	cmd     *exec.Cmd
	done    chan struct{} // closed when it has ended
	err     error         // how it ended; read after done
}

func newAgent(t *testing.T, conf, listen string) *agent {
	t.Helper()
	a := &agent{binary: suite.binary, conf: conf, log: filepath.Join(t.TempDir(), "log"), listen: listen}
	t.Cleanup(func() {
		a.kill()
		if t.Failed() {
			t.Logf("kinglet printed at last:\n%s", a.tail(40))
		}
	})
	return a
}

// start runs kinglet; the one before has to have ended.
func (a *agent) start(t *testing.T) {
	t.Helper()
	out, err := os.OpenFile(a.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close() // kinglet has its own handle
	cmd := exec.Command(a.binary, "--configs", a.conf)
	cmd.Env = append(os.Environ(), "NO_PROXY=*", "no_proxy=*")
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.as}
	a.started = time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatalf("start kinglet: %v", err)
	}
	done := make(chan struct{})
	a.cmd, a.done = cmd, done
	go func() {
		a.err = cmd.Wait()
		close(done)
	}()
}

// kill ends kinglet at once, and returns when it has.
func (a *agent) kill() {
	if a.cmd == nil {
		return
	}
	_ = a.cmd.Process.Kill() // it may have ended
	<-a.done
}

// terminate asks kinglet to end and wants exit code 0 in time; it returns how
// long that took.
func (a *agent) terminate(t *testing.T, within time.Duration) time.Duration {
	t.Helper()
	begin := time.Now()
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	code := a.exit(t, within)
	if code != 0 {
		t.Fatalf("kinglet ended with %d", code)
	}
	return time.Since(begin)
}

// exit waits for the end and returns the exit code, -1 for a signal's.
func (a *agent) exit(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-a.done:
	case <-time.After(within):
		t.Fatalf("kinglet did not end within %v", within)
	}
	return a.cmd.ProcessState.ExitCode()
}

func (a *agent) running() bool {
	select {
	case <-a.done:
		return false
	default:
		return true
	}
}

// lines are what kinglet printed that has all of words.
func (a *agent) lines(words ...string) []string {
	text, err := os.ReadFile(a.log)
	if err != nil {
		return nil
	}
	var found []string
next:
	for line := range strings.Lines(string(text)) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		found = append(found, strings.TrimSpace(line))
	}
	return found
}

// tail is the end of what kinglet printed.
func (a *agent) tail(n int) string {
	all := a.lines()
	return strings.Join(all[max(0, len(all)-n):], "\n")
}

// metric is the sum of the metric's series that have all of labels, such as
// reason="queue_full"; ok is false if there is none, or no answer.
func (a *agent) metric(name string, labels ...string) (sum float64, ok bool) {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get("http://" + a.listen + "/metrics")
	if err != nil {
		return 0, false
	}
	defer response.Body.Close()
	page, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return 0, false
	}
next:
	for line := range strings.Lines(string(page)) {
		if rest, is := strings.CutPrefix(line, name); !is || !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, " ") {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(line, l) {
				continue next
			}
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
		if err != nil {
			return 0, false
		}
		sum, ok = sum+v, true
	}
	return sum, ok
}

// waitMetric waits until the metric satisfies want.
func (a *agent) waitMetric(t *testing.T, within time.Duration, want func(float64) bool, name string, labels ...string) float64 {
	t.Helper()
	var last float64
	eventually(t, within, fmt.Sprintf("%s%v", name, labels), func() (bool, string) {
		v, ok := a.metric(name, labels...)
		last = v
		return ok && want(v), fmt.Sprint(v, ok)
	})
	return last
}

// peak is the most memory, in bytes, that kinglet had resident since the start
// or since forgetPeak.
func (a *agent) peak(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("VmHWM:"))
	kib, err := strconv.ParseInt(strings.Fields(string(rest))[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

func (a *agent) forgetPeak(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", a.cmd.Process.Pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}
