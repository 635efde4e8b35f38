package promtext

import (
	"cmp"
	"slices"
	"unicode/utf8"

	"kinglet"
)

// exemplarCharacters bounds the names and values of an exemplar's labels taken
// together, as OpenMetrics does.
const exemplarCharacters = 128

// parseExemplar reads an exemplar of OpenMetrics, from its brace on. One
// without a timestamp gets that of its sample.
func parseExemplar(b []byte, sampleMs int64) (kinglet.Exemplar, error) {
	r := seriesReader{s: string(b), strict: true}
	labels, problem := r.labels(nil, 0, true)
	if problem != "" {
		return kinglet.Exemplar{}, syntax(b, problem)
	}
	for _, l := range labels {
		if !utf8.ValidString(l.Value) {
			return kinglet.Exemplar{}, syntax(b, "want UTF-8 in label values")
		}
	}
	e := kinglet.Exemplar{Labels: labels, TimestampMs: sampleMs}
	value, rest := cutSpaced(b[r.at:])
	if value == nil {
		return e, syntax(b, "want one blank and a value after the exemplar's labels")
	}
	var err error
	if e.Value, err = ParseValue(value); err != nil {
		return e, err
	}
	if len(rest) == 0 {
		return e, nil
	}
	time, rest := cutSpaced(rest)
	if time == nil || len(rest) > 0 {
		return e, syntax(b, "want a timestamp or the end of the line after the exemplar's value")
	}
	e.TimestampMs, err = parseSeconds(time)
	return e, err
}

// finishExemplar sorts an exemplar's labels, and reports whether receivers
// will take it. One they refuse is left out, without harm to its sample
// (RW-92): a name that is empty or there twice, text that is not UTF-8, too
// much text.
func finishExemplar(e *kinglet.Exemplar) bool {
	slices.SortFunc(e.Labels, func(a, b kinglet.Label) int { return cmp.Compare(a.Name, b.Name) })
	characters := 0
	for i, l := range e.Labels {
		if l.Name == "" || i > 0 && l.Name == e.Labels[i-1].Name || !utf8.ValidString(l.Name) || !utf8.ValidString(l.Value) {
			return false
		}
		characters += utf8.RuneCountInString(l.Name) + utf8.RuneCountInString(l.Value)
	}
	return characters <= exemplarCharacters
}
