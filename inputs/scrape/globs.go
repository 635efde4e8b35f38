package scrape

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gobwas/glob"
)

// Globs matches names against a list of patterns in Categraf's dialect: a list
// in which no entry holds *, ? or [ is a list of exact names. Otherwise one
// entry is a pattern, and several are joined as {a,b,c}, so that a comma in an
// entry splits it. * crosses every character; ?, [a-z], [!a], {x,y} and \ work
// as usual. Nil matches nothing. It is immutable and safe for concurrent use.
type Globs struct {
	exact   []string
	pattern glob.Glob // nil for exact names
}

// CompileGlobs compiles a list; an empty one gives nil.
func CompileGlobs(patterns []string) (*Globs, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	if !slices.ContainsFunc(patterns, func(p string) bool { return strings.ContainsAny(p, "*?[") }) {
		return &Globs{exact: patterns}, nil
	}
	text := patterns[0]
	if len(patterns) > 1 {
		text = "{" + strings.Join(patterns, ",") + "}"
	}
	pattern, err := glob.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no glob pattern: %w", text, err)
	}
	return &Globs{pattern: pattern}, nil
}

// Match reports whether name matches one of the patterns.
func (g *Globs) Match(name string) bool {
	switch {
	case g == nil:
		return false
	case g.pattern != nil:
		return g.pattern.Match(name)
	}
	return slices.Contains(g.exact, name)
}
