//go:build e2e

package sidebyside

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// difference is one sample, exemplar or target on which two records disagree.
type difference struct {
	id
	What      string // "sample", "exemplar" or "scrapes"
	At        moment
	Want, Got string // "" = there is none
}

func (d difference) String() string {
	or := func(s string) string {
		if s == "" {
			return "nothing"
		}
		return s
	}
	return fmt.Sprintf("%s %s of %s: want %s, got %s", d.At, d.What, d.id, or(d.Want), or(d.Got))
}

// compare lists every difference between two records, over the scrapes that
// both have made.
func compare(want, got *record) []difference {
	var found []difference
	ends := map[string]int{}
	for _, target := range union(want.targets(), got.targets()) {
		a, b := len(want.scrapes[target]), len(got.scrapes[target])
		if ends[target] = min(a, b); ends[target] == 0 {
			found = append(found, difference{id: id{target, "up"}, What: "scrapes", Want: fmt.Sprint(a), Got: fmt.Sprint(b)})
		}
	}
	found = append(found, comparePoints("sample", ends, want.series, got.series)...)
	return append(found, comparePoints("exemplar", ends, want.exemplars, got.exemplars)...)
}

func comparePoints(what string, ends map[string]int, want, got map[id][]point) []difference {
	var found []difference
	ids := union(slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(got)))
	slices.SortFunc(ids, func(a, b id) int { return strings.Compare(a.String(), b.String()) })
	for _, i := range ids {
		end, known := ends[i.Target]
		a, b := byMoment(want[i], end, known, i), byMoment(got[i], end, known, i)
		for _, at := range union(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b))) {
			if a[at] != b[at] {
				found = append(found, difference{i, what, at, a[at], b[at]})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b difference) int {
		if c := strings.Compare(a.Target, b.Target); c != 0 {
			return c
		}
		return a.At.Round - b.At.Round
	})
	return found
}

// byMoment joins the points of each moment before the end.
func byMoment(points []point, end int, known bool, i id) map[moment]string {
	joined := map[moment]string{}
	for _, p := range points {
		if known && p.At.Round >= end {
			continue
		}
		text := p.Text
		if strings.Contains(i.Series, `"scrape_duration_seconds"`) && text != staleText {
			text = "a duration" // nobody's are equal
		}
		if before, ok := joined[p.At]; ok {
			text = before + " and " + text
		}
		joined[p.At] = text
	}
	return joined
}

// union is the elements of both, each once.
func union[T comparable](a, b []T) []T {
	seen := map[T]bool{}
	var all []T
	for _, x := range slices.Concat(a, b) {
		if !seen[x] {
			seen[x] = true
			all = append(all, x)
		}
	}
	return all
}

// most is how many series with differences are printed.
const most = 200

// checkExplained wants every difference explained, and every explanation used.
func checkExplained(t *testing.T, side string, found []difference) {
	t.Helper()
	used := map[string]int{}
	var left []difference
	for _, d := range found {
		if why := explain(side, d); why != "" {
			used[why]++
			continue
		}
		left = append(left, d)
	}
	for i, line := range bySeries(left) {
		if i == most {
			t.Errorf("... %d differences are not explained", len(left))
			break
		}
		t.Error(line)
	}
	for _, e := range explanations() {
		if e.holdsFor(side) {
			t.Logf("%d differences: %s", used[e.why], e.why)
			if used[e.why] == 0 {
				t.Errorf("no difference needs this explanation any more: %s", e.why)
			}
		}
	}
}

// bySeries prints the first difference of each series, and how many follow.
func bySeries(found []difference) []string {
	type key struct {
		id
		what string
	}
	first, more := map[key]difference{}, map[key]int{}
	var order []key
	for _, d := range found {
		k := key{d.id, d.What}
		if _, ok := first[k]; !ok {
			first[k] = d
			order = append(order, k)
			continue
		}
		more[k]++
	}
	var lines []string
	for _, k := range order {
		line := first[k].String()
		if more[k] > 0 {
			line += fmt.Sprintf("; and %d more", more[k])
		}
		lines = append(lines, line)
	}
	return lines
}
