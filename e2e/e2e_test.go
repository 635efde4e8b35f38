//go:build e2e

// Package e2e runs the built kinglet binary against receivers that this
// project did not write, Debian's VictoriaMetrics and Prometheus, and asks
// them what arrived. e2e/install installs them; `make e2e` runs everything.
//
// A test puts a small world together: start a receiver (startPrometheus,
// startVictoria), serve a page (servePage), write a configuration (writeTree)
// and start kinglet on it (startKinglet). Everything ends with the test.
package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// binaries are the programs under test; TestMain sets them once.
var binaries struct{ kinglet, demo string }

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run finds the programs, KINGLET_BIN and KINGLET_DEMO_BIN, or builds them.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kinglet-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	for _, b := range []struct {
		path      *string
		env, name string
	}{
		{&binaries.kinglet, "KINGLET_BIN", "kinglet"},
		{&binaries.demo, "KINGLET_DEMO_BIN", "kinglet-demo"},
	} {
		if *b.path = os.Getenv(b.env); *b.path != "" {
			continue
		}
		*b.path = filepath.Join(dir, b.name)
		build := exec.Command("go", "build", "-buildvcs=false", "-o", *b.path, "kinglet/cmd/"+b.name)
		if text, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "e2e: build %s: %v\n%s", b.name, err, text)
			return 1
		}
	}
	return m.Run()
}

// eventually asks until done says so; at the deadline it fails the test with
// what done said last.
func eventually(t *testing.T, deadline time.Duration, what string, done func() (ok bool, state string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
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

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// writeTree writes files, named by their path below it, to a new folder.
func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
