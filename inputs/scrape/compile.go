package scrape

import (
	"fmt"

	"kinglet/conf/relabel"
)

// Compiler compiles the patterns and rules of a configuration, and gathers
// what is wrong with them, each under its TOML key. What is wrong is nil. The
// zero value is ready for use.
type Compiler struct {
	Faults []error
}

// Globs compiles the patterns of a key.
func (c *Compiler) Globs(key string, patterns []string) *Globs {
	g, err := CompileGlobs(patterns)
	if err != nil {
		c.Faults = append(c.Faults, fmt.Errorf("%s: %w", key, err))
	}
	return g
}

// Rules compiles the rules of a key. Every rule that is wrong is a fault of its
// own.
func (c *Compiler) Rules(key string, rules []relabel.Rule) *relabel.Rules {
	r, err := relabel.Compile(rules)
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // what Compile returns
		for _, fault := range joined.Unwrap() {
			c.Faults = append(c.Faults, fmt.Errorf("%s: %w", key, fault))
		}
	}
	return r
}
