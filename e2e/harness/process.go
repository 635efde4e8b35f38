package harness

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

// Process is a program that runs until the test stops it, or ends. It may be
// started again when it has ended.
type Process struct {
	Name string              // of the program, for messages
	Args []string            // the program and its arguments
	Env  []string            // beside what this process has
	As   *syscall.Credential // whose it is; nil = this process's
	Log  string              // path of what it prints

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

// NewProcess describes a program; Start runs it. With the test it ends, and if
// the test failed, what it printed last is shown.
func NewProcess(t testing.TB, env []string, name string, args ...string) *Process {
	t.Helper()
	p := &Process{Name: filepath.Base(name), Args: append([]string{name}, args...), Env: env}
	p.Log = filepath.Join(t.TempDir(), p.Name+".log")
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s printed at last:\n%s", p.Name, p.Tail(40))
		}
	})
	return p
}

// Start runs the program.
func (p *Process) Start(t testing.TB) {
	t.Helper()
	out, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close() // the program has its own handle
	cmd := exec.Command(p.Args[0], p.Args[1:]...)
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.As}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", p.Name, err)
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	go func() {
		p.err = cmd.Wait()
		close(done)
	}()
}

// Pid is the number of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Signal sends s to the program.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("signal %s: %w", p.Name, err)
	}
	return nil
}

// Stop asks the program to end, and wants exit code 0 in time. It returns how
// long that took.
func (p *Process) Stop(t testing.TB, within time.Duration) time.Duration {
	t.Helper()
	begin := time.Now()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(t, within); err != nil {
		t.Fatalf("%s ended with %v", p.Name, err)
	}
	return time.Since(begin)
}

// Wait waits for the program's end, and returns how it ended.
func (p *Process) Wait(t testing.TB, within time.Duration) error {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(within):
		t.Fatalf("%s did not end within %v", p.Name, within)
	}
	return p.err
}

// Kill ends the program if it runs, stopped or not, and waits for it.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// Ended reports whether the program has ended, and how.
func (p *Process) Ended() (ended bool, how error) {
	select {
	case <-p.done:
		return true, p.err
	default:
		return false, nil
	}
}

// Tail is the last n lines of what the program printed.
func (p *Process) Tail(n int) string {
	text, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
