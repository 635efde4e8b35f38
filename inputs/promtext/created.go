package promtext

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"kinglet"
)

// createdTimes holds what the _created series of an OpenMetrics page say. They
// stand behind the samples they speak of, so the page is read twice.
type createdTimes struct {
	startsMs map[string]int64
	labels   []kinglet.Label
	key      []byte
}

// findCreated reads a page for its _created series. Faults are left for the
// second reading.
func findCreated(page []byte) *createdTimes {
	c := &createdTimes{startsMs: make(map[string]int64)}
	var family Metadata
	var l Line
	for line := range bytes.SplitSeq(page, newline) {
		if parseOpenMetricsLine(line, &l) != nil {
			continue
		}
		family.Observe(&l)
		if l.Kind != SampleLine || !bytes.Contains(l.Series, []byte("_created")) || !hasStart(family.typ) {
			continue
		}
		labels, err := parseSeries(c.labels[:0], l.Series, true)
		if err != nil {
			continue
		}
		c.labels = labels
		name, ok := strings.CutSuffix(labels[0].Value, "_created")
		seconds, err := ParseValue(l.Value)
		if !ok || err != nil || family.Of(name) == nil || name != family.Of(name).Family {
			continue
		}
		if ms := seconds * 1000; ms > -1e18 && ms < 1e18 { // neither NaN nor out of any calendar
			c.startsMs[string(c.keyOf(name, family.typ))] = startMs(int64(ms))
		}
	}
	return c
}

// apply gives a sample its start, and reports whether it is itself a _created
// series.
func (c *createdTimes) apply(s *Sample) (created bool) {
	if !hasStart(s.family.typ) {
		return false
	}
	labels, err := parseSeries(c.labels[:0], s.Series, true)
	if err != nil {
		return false // for the caller to find
	}
	c.labels = labels
	if base, ok := strings.CutSuffix(labels[0].Value, "_created"); ok {
		meta := s.family.Of(base)
		return meta != nil && base == meta.Family
	}
	meta := s.family.Of(labels[0].Value)
	if meta == nil {
		return false
	}
	s.StartMs = c.startsMs[string(c.keyOf(meta.Family, meta.Type))]
	return false
}

// keyOf names what has one start: a family and labels, without those that tell
// buckets and quantiles apart.
func (c *createdTimes) keyOf(family string, typ kinglet.MetricType) []byte {
	rest := c.labels[1:]
	slices.SortFunc(rest, func(a, b kinglet.Label) int { return cmp.Compare(a.Name, b.Name) })
	c.key = append(c.key[:0], family...)
	for _, l := range rest {
		if l.Value == "" || l.Name == "le" && typ == kinglet.TypeHistogram || l.Name == "quantile" && typ == kinglet.TypeSummary {
			continue
		}
		c.key = append(append(append(append(c.key, 0xff), l.Name...), 0xff), l.Value...)
	}
	return c.key
}

// hasStart reports whether families of that type begin at a time that matters.
func hasStart(typ kinglet.MetricType) bool {
	return typ == kinglet.TypeCounter || typ == kinglet.TypeHistogram || typ == kinglet.TypeSummary
}

// startMs keeps a start at the epoch itself apart from "unknown" (RW-101).
func startMs(ms int64) int64 {
	if ms == 0 {
		return 1
	}
	return ms
}
