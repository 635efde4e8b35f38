//go:build e2e

package rules

import (
	"errors"
	"fmt"
	"time"
)

// Agent writes a setup as the files and flags of one program.
type Agent interface {
	// Kind is the word before the colon of RULES_AGENT.
	Kind() string
	// Name is how the scorecard calls it.
	Name() string
	// Configure writes the configuration into s.Dir, over what is there, and
	// returns the command line. An option that the agent does not have is an
	// error that wraps errNoSuchOption.
	Configure(s Setup) (args []string, err error)
}

// errNoSuchOption says that an agent cannot be configured as a case wants.
var errNoSuchOption = errors.New("the agent has no such option")

func noOption(name string) error { return fmt.Errorf("%s: %w", name, errNoSuchOption) }

// Setup is a configuration with every default filled in.
type Setup struct {
	Dir      string
	Jobs     []Job
	Writers  []Writer
	Features []string
}

func (s Setup) withDefaults() Setup {
	for i := range s.Jobs {
		j := &s.Jobs[i]
		orDefault(&j.Interval, time.Second)
		orDefault(&j.Timeout, time.Second)
		orDefault(&j.Path, "/metrics")
	}
	for i := range s.Writers {
		w := &s.Writers[i]
		orDefault(&w.Timeout, 5*time.Second)
		orDefault(&w.MinBackoff, 30*time.Millisecond)
		orDefault(&w.MaxBackoff, 500*time.Millisecond)
		orDefault(&w.Deadline, 200*time.Millisecond)
		orDefault(&w.Batch, 2000)
	}
	return s
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// has reports whether a case asked for a feature.
func (s Setup) has(feature string) bool {
	for _, f := range s.Features {
		if f == feature {
			return true
		}
	}
	return false
}

// duration is d as every agent reads it: whole milliseconds or seconds.
func duration(d time.Duration) string {
	if d%time.Second == 0 {
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return fmt.Sprintf("%dms", d.Milliseconds())
}
