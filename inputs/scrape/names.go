package scrape

import (
	"slices"
	"strings"

	"kinglet"
)

// rewriteName replaces what Categraf replaces in metric names before it
// filters them.
func rewriteName(name string) string {
	if !strings.ContainsAny(name, "-. '\"") {
		return name
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-. '\"", r) {
			return '_'
		}
		return r
	}, name)
}

// normalize makes labels final, in place (RW-26 to RW-33): without empty ones
// and without names that begin with __, but for the metric name; every
// character that remote write 1.0 forbids in a name is replaced by _, unless
// names may hold any; sorted.
// Where two names become one, the label whose name was written so wins, else
// the first in the order of the names as they were.
func normalize(labels []kinglet.Label, anyName bool) []kinglet.Label {
	labels = slices.DeleteFunc(labels, func(l kinglet.Label) bool {
		return l.Value == "" || l.Name == "" || (strings.HasPrefix(l.Name, "__") && l.Name != kinglet.MetricNameLabel)
	})
	odd := false
	for i := range labels {
		if anyName {
			break
		}
		if labels[i].Name == kinglet.MetricNameLabel {
			labels[i].Value = kinglet.ToLegacyName(labels[i].Value, true)
			continue
		}
		odd = odd || !isPlain(labels[i].Name, false)
	}
	slices.SortStableFunc(labels, byName)
	labels = slices.CompactFunc(labels, sameName)
	if !odd {
		return labels
	}
	written := make([]string, 0, len(labels))
	for _, l := range labels {
		if isPlain(l.Name, false) {
			written = append(written, l.Name)
		}
	}
	result := labels[:0]
	for _, l := range labels {
		if !isPlain(l.Name, false) {
			if l.Name = kinglet.ToLegacyName(l.Name, false); slices.Contains(written, l.Name) {
				continue
			}
			written = append(written, l.Name)
		}
		result = append(result, l)
	}
	slices.SortStableFunc(result, byName)
	return slices.DeleteFunc(result, func(l kinglet.Label) bool {
		return strings.HasPrefix(l.Name, "__") && l.Name != kinglet.MetricNameLabel
	})
}

// sameName: of several labels with one name the first stays. The steps before
// leave no such labels; a shape takes none.
func sameName(a, b kinglet.Label) bool { return a.Name == b.Name }

// isPlain reports whether a name is as remote write 1.0 wants it (RW-31). A
// metric name may hold colons.
func isPlain(name string, metric bool) bool { return name != "" && kinglet.LegacyName(name, metric) }
