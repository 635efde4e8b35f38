//go:build e2e

// Package nightingale runs the built kinglet binary against a simulator of
// Nightingale, which has those of its habits that a sender notices. They were
// observed on a running Nightingale; TestHabits lists them.
package nightingale

import (
	"fmt"
	"os"
	"testing"
	"time"

	"kinglet/e2e/harness"
)

// binary is the kinglet under test; TestMain sets it once.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	path, clean, err := harness.Binary("kinglet")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer clean()
	binary = path
	return m.Run()
}

// pass lets the programs run for a while.
func pass(d time.Duration) { <-time.After(d) }
