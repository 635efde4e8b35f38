//go:build e2e

package rules

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// scorecard collects what was found about each rule.
type scorecard struct {
	mu    sync.Mutex
	rules map[string][]finding
}

type finding struct {
	claim string
	err   error
}

// note adds the outcome of one case.
func (s *scorecard) note(rule, claim string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rules == nil {
		s.rules = map[string][]finding{}
	}
	s.rules[rule] = append(s.rules[rule], finding{claim, err})
}

// print writes how many rules hold, and the others with a line each. A rule
// holds if all its cases do; one that the agent has no option for is counted
// apart.
func (s *scorecard) print(out io.Writer, agent string, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names, broken []string
	unsupported := map[string][]string{} // by option, the rules that need it
	for rule := range s.rules {
		names = append(names, rule)
	}
	sortRules(names)
	held := 0
	for _, rule := range names {
		failed, skipped := false, false
		for _, f := range s.rules[rule] {
			switch {
			case f.err == nil:
			case errors.Is(f.err, errNoSuchOption):
				skipped = true
				if option := f.err.Error(); !slices.Contains(unsupported[option], rule) {
					unsupported[option] = append(unsupported[option], rule)
				}
			default:
				failed = true
				first, _, _ := strings.Cut(f.err.Error(), "\n")
				broken = append(broken, fmt.Sprintf("  %-7s %s\n          %.200s", rule, f.claim, first))
			}
		}
		if !failed && !skipped {
			held++
		}
	}
	if len(names) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s: %d of %d rules hold (%v)\n", agent, held, len(names), took.Round(time.Second))
	if len(broken) > 0 {
		fmt.Fprintf(out, "does not hold:\n%s\n", strings.Join(broken, "\n"))
	}
	for _, option := range slices.Sorted(maps.Keys(unsupported)) {
		fmt.Fprintf(out, "%s:\n  %s\n", option, strings.Join(unsupported[option], " "))
	}
}
