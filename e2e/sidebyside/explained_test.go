//go:build e2e

package sidebyside

import "slices"

// explanation is a difference that kinglet decides on. Why is for readers of
// the test's output, so it names what differs and the reason.
type explanation struct {
	why    string
	sides  []string // where it holds
	covers func(d difference) bool
}

func (e explanation) holdsFor(side string) bool { return slices.Contains(e.sides, side) }

// explanations is everything in which kinglet's database differs from
// Prometheus'. One that explains nothing fails the test.
func explanations() []explanation {
	return nil
}

// explain is the reason of a difference, or "".
func explain(side string, d difference) string {
	for _, e := range explanations() {
		if e.holdsFor(side) && e.covers(d) {
			return e.why
		}
	}
	return ""
}
