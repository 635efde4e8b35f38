//go:build e2e

// Package faults does to the built kinglet what nodes and networks do: it is
// killed at random moments, its disk fills up or goes away, its endpoint
// refuses, hangs, and takes what it never acknowledges. Then it counts.
//
// Targets number their scrapes, and every value they serve is made of the
// target, the series and that number; the sink keeps what it was sent. Every
// sample of a completed scrape has to arrive, none with another value or
// another time, and twice only as the same sample.
//
// A target cannot know what became of a page that it has written whole to a
// socket whose reader is killed at that moment. So the last scrape of a target
// before a kill or a stop may be missing if it was answered within the window
// before it, and none else; how often that happened is printed.
//
//	FAULTS_SEED     of the random moments; printed by each run
//	FAULTS_KILLS    SIGKILLs in TestNothingIsLostByKills (30)
//	FAULTS_OUTAGE   length of the outage in TestAnOutageTakesNoMemory (20s)
//	FAULTS_WINDOW   the window (100ms)
//
//	FAULTS_KILLS=1000 FAULTS_OUTAGE=60s go test -tags e2e -count=1 -timeout 2h -v ./e2e/faults
package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"kinglet/e2e/harness"
)

// suite is what all tests of a run share; TestMain sets it once.
var suite struct {
	binary string
	seed   uint64
	kills  int
	outage time.Duration
	window time.Duration // before a kill, in which a scrape may have been answered in vain
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

// atOnce bounds the tests that run side by side: they wait more than they work.
const atOnce = "6"

func run(m *testing.M) int {
	harness.AtOnce(atOnce)
	if err := readSettings(); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		return 1
	}
	path, clean, err := harness.Binary("kinglet")
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		return 1
	}
	defer clean()
	suite.binary = path
	fmt.Printf("faults: FAULTS_SEED=%d\n", suite.seed)
	return m.Run()
}

func readSettings() error {
	suite.seed, suite.kills, suite.outage, suite.window = rand.Uint64(), 30, 20*time.Second, 100*time.Millisecond
	var err error
	if text := os.Getenv("FAULTS_SEED"); text != "" {
		if suite.seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			return fmt.Errorf("FAULTS_SEED: %w", err)
		}
	}
	if text := os.Getenv("FAULTS_KILLS"); text != "" {
		if suite.kills, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("FAULTS_KILLS: %w", err)
		}
	}
	for name, to := range map[string]*time.Duration{"FAULTS_OUTAGE": &suite.outage, "FAULTS_WINDOW": &suite.window} {
		if text := os.Getenv(name); text != "" {
			if *to, err = time.ParseDuration(text); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// random is the source of a test's random moments.
func random() *rand.Rand { return rand.New(rand.NewPCG(suite.seed, 0)) }

// eventually asks until done says so, or the test has failed.
func eventually(t *testing.T, deadline time.Duration, what string, done func() (ok bool, state string)) {
	t.Helper()
	harness.Eventually(t, deadline, what, done)
}

// pass lets real time go by.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal("the test was stopped")
	}
}
