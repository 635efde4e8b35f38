package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// stopTimeout is how long the agent may take to send what it has.
const stopTimeout = 15 * time.Second

// agent is the kinglet binary, running.
type agent struct {
	cmd  *exec.Cmd
	log  string        // path of what it logs
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

// findKinglet returns the path of the binary: as given, else beside this
// program, else built from the source in the working directory into dir.
func findKinglet(ctx context.Context, given, dir string, out *screen) (string, error) {
	if given != "" {
		return given, nil
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "kinglet")
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return beside, nil
		}
	}
	out.Line("building kinglet ...")
	path := filepath.Join(dir, "kinglet")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "kinglet/cmd/kinglet")
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build kinglet: %w\n%s\nrun this in kinglet's source, or give -kinglet PATH", err, bytes.TrimSpace(text))
	}
	return path, nil
}

// startAgent runs the binary on the configuration in conf. It does not end
// with ctx, but with Stop.
func startAgent(ctx context.Context, binary, conf, log string) (*agent, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open kinglet's log: %w", err)
	}
	cmd := exec.Command(binary, "--configs", conf)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = childAttributes()
	a := &agent{cmd: cmd, log: log, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel ends the child with the thread that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(a.done)
		err := errors.Join(cmd.Start(), file.Close())
		started <- err
		if err == nil {
			a.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		<-a.done
		return nil, fmt.Errorf("start kinglet: %w", err)
	}
	return a, nil
}

// Stop asks the agent to end, as Kubernetes does, and waits for it.
func (a *agent) Stop() error {
	select {
	case <-a.done:
		return nil // it ended by itself, which has been reported
	default:
	}
	_ = a.cmd.Process.Signal(syscall.SIGTERM) // it may end at this moment
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-a.done:
	case <-timer.C:
		_ = a.cmd.Process.Kill()
		<-a.done
		return fmt.Errorf("kinglet did not end within %v and was killed", stopTimeout)
	}
	if a.err != nil {
		return fmt.Errorf("stop kinglet: %w\n%s", a.err, a.lastLines(10))
	}
	return nil
}

// lastLines is the end of what the agent logged.
func (a *agent) lastLines(n int) string {
	text, err := os.ReadFile(a.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
