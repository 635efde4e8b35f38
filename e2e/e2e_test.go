//go:build e2e

// Package e2e runs the built kinglet binary against receivers that this
// project did not write, Debian's VictoriaMetrics and Prometheus, and asks
// them what arrived. e2e/install installs them; `make e2e` runs everything.
//
// A test puts a small world together: start a receiver (startPrometheus,
// startVictoria), serve a page (servePage), write a configuration (tree.Make)
// and start kinglet on it (startKinglet). Everything ends with the test.
package e2e

import (
	"fmt"
	"os"
	"testing"

	"kinglet/e2e/harness"
)

// binaries are the programs under test; TestMain sets them once.
var binaries struct{ kinglet, demo string }

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	for name, path := range map[string]*string{"kinglet": &binaries.kinglet, "kinglet-demo": &binaries.demo} {
		found, clean, err := harness.Binary(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			return 1
		}
		defer clean()
		*path = found
	}
	return m.Run()
}
