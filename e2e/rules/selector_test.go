//go:build e2e

package rules

import (
	"fmt"
	"strconv"
	"strings"
)

// selector picks series by some of their labels: name{a="1",b=""}. An empty
// value means that the series has no such label.
type selector []Label

func parseSelector(text string) (selector, error) {
	var sel selector
	name, rest, braced := strings.Cut(text, "{")
	if name != "" {
		sel = append(sel, Label{"__name__", name})
	}
	for braced && rest != "}" {
		label, after, ok := strings.Cut(rest, "=")
		quoted, err := strconv.QuotedPrefix(after)
		if !ok || err != nil {
			return nil, fmt.Errorf("selector %s: want name{label=\"value\",...}", text)
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("selector %s: %w", text, err)
		}
		sel = append(sel, Label{label, value})
		rest = strings.TrimPrefix(after[len(quoted):], ",")
	}
	return sel, nil
}

func (sel selector) matches(s Sample) bool {
	for _, l := range sel {
		if s.Get(l.Name) != l.Value {
			return false
		}
	}
	return true
}
