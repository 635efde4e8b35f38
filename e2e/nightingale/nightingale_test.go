//go:build e2e

// Package nightingale runs the built kinglet binary against a simulator of
// Nightingale, which has those of its habits that a sender notices. They were
// observed on a running Nightingale; TestHabits lists them.
package nightingale

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// binary is the kinglet under test; TestMain sets it once.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run finds the program, KINGLET_BIN, or builds it.
func run(m *testing.M) int {
	if binary = os.Getenv("KINGLET_BIN"); binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "kinglet-nightingale-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "kinglet")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "kinglet/cmd/kinglet")
	if text, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: build kinglet: %v\n%s", err, text)
		return 1
	}
	return m.Run()
}

// eventually asks until done says so; at the deadline it fails the test with
// what done said last.
func eventually(t *testing.T, deadline time.Duration, what string, done func() (ok bool, state string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, state := done()
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %v; last seen: %s", what, deadline, state)
		case <-tick.C:
		}
	}
}

// pass lets the programs run for a while.
func pass(d time.Duration) { <-time.After(d) }
