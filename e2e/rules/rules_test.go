//go:build e2e

// Package rules drives the built agent as its users do: a binary, a
// configuration, endpoints that serve what a script says, receivers that
// answer what a script says. Each test case is one rule of the scrape and
// remote-write contract (RW-01 to RW-159) that shows from outside; the table
// in docs/conformance.md says what each rule claims. Nothing here looks inside
// the agent, so the same cases can judge another one:
//
//	go test -tags e2e ./e2e/rules
//	RULES_AGENT=prometheus:/usr/bin/prometheus go test -tags e2e ./e2e/rules -v
//
// A scorecard ends the run. Rules that another agent does not keep are the
// report, not a failure of the run.
package rules

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kinglet/e2e/harness"
)

// atOnce bounds the agents that run side by side.
const atOnce = "16"

// suite is what all cases of a run share; TestMain sets it once.
var suite struct {
	agent Agent
	card  scorecard
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	harness.AtOnce(atOnce)
	agent, clean, err := chooseAgent()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rules:", err)
		return 1
	}
	defer clean()
	suite.agent = agent
	start := time.Now()
	code := m.Run()
	suite.card.print(os.Stdout, agent.Name(), time.Since(start))
	return code
}

// chooseAgent reads RULES_AGENT=kind:path; without it kinglet is judged, from
// KINGLET_BIN or built here. clean removes what was built.
func chooseAgent() (agent Agent, clean func(), err error) {
	if chosen := os.Getenv("RULES_AGENT"); chosen != "" {
		clean = func() {}
		kind, path, ok := strings.Cut(chosen, ":")
		if !ok || path == "" {
			return nil, clean, fmt.Errorf("RULES_AGENT=%s: want kind:path, such as prometheus:/usr/bin/prometheus", chosen)
		}
		path, err = filepath.Abs(path)
		if err != nil {
			return nil, clean, err
		}
		agent, err = newAgent(kind, path)
		return agent, clean, err
	}
	path, clean, err := harness.Binary("kinglet")
	return kingletAgent{bin: path}, clean, err
}

func newAgent(kind, path string) (Agent, error) {
	switch kind {
	case "kinglet":
		return kingletAgent{bin: path}, nil
	case "prometheus":
		return newPrometheus(path)
	case "vmagent":
		return vmagentAgent{bin: path}, nil
	case "categraf":
		return categrafAgent{bin: path}, nil
	}
	return nil, fmt.Errorf("RULES_AGENT: no adapter for %q: want kinglet, prometheus, vmagent or categraf", kind)
}

// check runs one case of a rule as a subtest of its own, beside the others.
func check(t *testing.T, rule, claim string, c Case) {
	t.Helper()
	t.Run(rule+": "+claim, func(t *testing.T) {
		t.Parallel()
		if dev, ok := c.Unless[suite.agent.Kind()]; ok {
			c.Want, claim = dev.Want, dev.Claim
			if dev.Until != nil {
				c.Until = dev.Until
			}
			t.Logf("by design: %s", dev.Claim)
		}
		err := runCase(t, c)
		unsupported := errors.Is(err, errNoSuchOption)
		suite.card.note(rule, claim, err)
		switch {
		case err == nil:
		case unsupported:
			t.Skip(err)
		case suite.agent.Kind() == "kinglet":
			t.Error(err)
		default:
			t.Logf("does not hold: %v", err)
		}
	})
}

// runCase starts the world of c, waits until enough has happened, and asks
// every expectation until all hold or time is up.
func runCase(t *testing.T, c Case) error {
	w, err := newWorld(t, c)
	if err != nil {
		return err
	}
	if c.Run != nil {
		if err := c.Run(w); err != nil {
			return fmt.Errorf("%w\n%s", err, w.evidence())
		}
	}
	until := c.Until
	if until == nil && c.Run == nil {
		until = rounds(len(c.Scrapes) + 1)
	}
	if until != nil {
		if err := w.wait(c.Within, until); err != nil {
			return fmt.Errorf("%w\n%s", errors.Join(err, w.judge(c.Want)), w.evidence())
		}
	}
	if err := w.wait(4*time.Second, func(w *World) error { return w.judge(c.Want) }); err != nil {
		return fmt.Errorf("%w\n%s", err, w.evidence())
	}
	return nil
}

// judge asks every expectation once.
func (w *World) judge(want []Want) error {
	var faults []error
	for _, f := range want {
		faults = append(faults, f(w))
	}
	return errors.Join(faults...)
}

// ruleNumber is the nn of "RW-nn", for sorting; 0 for what has no number.
func ruleNumber(rule string) int {
	n := 0
	_, _ = fmt.Sscanf(rule, "RW-%d", &n)
	return n
}

func sortRules(rules []string) {
	slices.SortFunc(rules, func(a, b string) int {
		if d := ruleNumber(a) - ruleNumber(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}
