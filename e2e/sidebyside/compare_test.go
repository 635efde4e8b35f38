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
	What      string // "sample", "exemplar", "start" or "scrapes"
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
// both have made; of targets that are gone, over all.
func compare(want, got *record) []difference {
	var found []difference
	ends := map[string]int{}
	for _, target := range union(want.targets(), got.targets()) {
		a, b := len(want.scrapes[target]), len(got.scrapes[target])
		ends[target] = min(a, b)
		if want.gone[target] || got.gone[target] {
			ends[target] = max(a, b)
		}
		if a == 0 || b == 0 {
			found = append(found, difference{id: id{target, "up"}, What: "scrapes", Want: fmt.Sprint(a), Got: fmt.Sprint(b)})
		}
	}
	found = append(found, comparePoints("sample", ends, want.series, got.series)...)
	found = append(found, comparePoints("exemplar", ends, want.exemplars, got.exemplars)...)
	return append(found, comparePoints("start", ends, want.starts, got.starts)...)
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
	complaints, notes := judge(side, found, explanations())
	for _, n := range notes {
		t.Log(n)
	}
	for i, c := range complaints {
		if i == most {
			t.Errorf("... and of %d series more", len(complaints)-most)
			break
		}
		t.Error(c)
	}
}

// judge holds differences against explanations. It complains about every
// series with differences that are not explained, about samples that have not
// moved to where an explanation has them, and about explanations that explain
// nothing; notes say what was explained how often.
func judge(side string, found []difference, list []explanation) (complaints, notes []string) {
	used, moved := make([]int, len(list)), make([]balance, len(list))
	var left []difference
	for _, d := range found {
		i := slices.IndexFunc(list, func(e explanation) bool { return e.holdsFor(side) && e.covers(d) })
		if i < 0 {
			left = append(left, d)
			continue
		}
		used[i]++
		if list[i].moves {
			moved[i].add(d)
		}
	}
	complaints = bySeries(left)
	for i, e := range list {
		for _, lost := range moved[i].uneven() {
			complaints = append(complaints, lost+", although: "+e.why)
		}
		switch {
		case used[i] > 0:
			notes = append(notes, fmt.Sprintf("%d differences: %s", used[i], e.why))
		case e.holdsFor(side):
			complaints = append(complaints, "no difference needs this explanation any more: "+e.why)
		}
	}
	return complaints, notes
}

// balance counts what is missing and what is too much in each moment.
type balance map[string]int

func (b *balance) add(d difference) {
	if *b == nil {
		*b = balance{}
	}
	key := fmt.Sprintf("%s %s of %s: ", d.At, d.What, d.Target)
	if d.Want != "" {
		(*b)[key+d.Want]++
	}
	if d.Got != "" {
		(*b)[key+d.Got]--
	}
}

// uneven lists what did not turn up elsewhere, or came from nowhere.
func (b balance) uneven() []string {
	var lines []string
	for _, key := range sortedKeys(b) {
		if n := b[key]; n != 0 {
			lines = append(lines, fmt.Sprintf("%s is wanted %+d times", key, n))
		}
	}
	return lines
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
