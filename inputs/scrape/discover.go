package scrape

import (
	"fmt"
	"strings"

	"kinglet"
	"kinglet/inputs/promtext"
)

// source makes the labels of a series that the layout does not know.
type source interface {
	discover() (discovery, error)
}

// discovery is a series as a page exposes it.
type discovery struct {
	labels []kinglet.Label // the metric name among them; the walk's scratch
	meta   *kinglet.Meta   // as the page has it; nil if it says nothing of the family
	kind   kinglet.Kind
}

// textSource discovers series of the text format.
type textSource struct {
	w      *walk
	series []byte
}

func (s *textSource) discover() (discovery, error) {
	labels, err := promtext.ParseSeries(s.w.labels[:0], s.series)
	if err != nil {
		return discovery{}, err
	}
	s.w.labels = labels
	return discovery{labels: labels, meta: s.w.familyOf(labels[0].Value)}, nil
}

// discovered gives a series its final labels and its place.
func (w *walk) discovered(d discovery) (ref int32, err error) {
	l := w.l
	var of family
	if d.meta != nil {
		of = family{d.meta.Family, d.meta.Type}
	}
	made, err := l.cfg.Labels.series(d.labels, of)
	if err != nil {
		return 0, err
	}
	if made.labels == nil {
		return refDropped, nil
	}
	if err := l.cfg.checkLabels(made.labels); err != nil {
		return 0, err
	}
	w.encoded = kinglet.AppendEncodedLabels(w.encoded[:0], made.labels)
	set := l.setHash(w.encoded, d.kind)
	for _, own := range l.own {
		if own == set {
			return refOwn, nil
		}
	}
	if column, ok := w.findSet(set); ok {
		return column, nil // the same series by another text
	}
	if limit := l.cfg.SampleLimit; limit > 0 && w.filled+len(w.fresh) >= limit {
		return refOver, nil
	}
	if err := l.chargeSeries(len(w.encoded)); err != nil {
		return 0, err
	}
	f := freshSeries{EncodedSeries: kinglet.EncodedSeries{Kind: d.kind, Meta: w.shared(d.meta)}, set: set, values: made.values}
	if err := w.keepLabels(&f, w.encoded); err != nil {
		return 0, err
	}
	return w.addFresh(f), nil
}

// addFresh makes a column for a series that the layout does not have.
func (w *walk) addFresh(f freshSeries) (column int32) {
	column = int32(len(w.values))
	w.need()
	w.fresh = append(w.fresh, f)
	w.values = append(w.values, kinglet.Absent())
	if w.times != nil {
		w.times = append(w.times, kinglet.NoTime)
	}
	if w.histograms != nil {
		w.histograms = append(w.histograms, nil)
	}
	if w.starts != nil {
		w.starts = append(w.starts, 0)
	}
	w.sets.put(f.set, column)
	return column
}

// take puts a sample where its series belongs, and says where that was.
func (w *walk) take(ref int32, value float64, timeMs int64) int32 {
	w.scraped++
	switch ref {
	case refDropped:
		w.dropped++
		return ref
	case refOwn:
		w.ownTaken++
		return ref
	case refOver:
		w.overLimit++
		return ref
	}
	if !w.l.cfg.HonorTimestamps {
		timeMs = kinglet.NoTime
	}
	if p := w.l.cfg.PrecisionMs; p > 1 && timeMs != kinglet.NoTime {
		timeMs -= timeMs % p
	}
	if w.twins.any() || !kinglet.IsAbsent(w.values[ref]) {
		column, ok := w.place(ref, timeMs)
		if !ok {
			w.duplicates++
			return ref
		}
		ref = column
	}
	w.store(ref, value, timeMs)
	return ref
}

func (w *walk) store(column int32, value float64, timeMs int64) {
	w.values[column] = value
	if int(column) < w.l.columns() {
		w.filled++
	}
	if timeMs != kinglet.NoTime {
		w.ensureTimes()
		w.times[column] = timeMs
	}
}

func (w *walk) ensureTimes() {
	if w.times != nil {
		return
	}
	w.times = make([]int64, len(w.values))
	for i := range w.times {
		w.times[i] = kinglet.NoTime
	}
}

// timedNow says which columns had their own timestamps in this scrape, by the
// numbers after it; remap is nil if those are the same. Nil means none.
func (w *walk) timedNow(remap []int32) []bool {
	if w.times == nil {
		return nil
	}
	timed := w.l.timed
	if remap != nil || timed == nil {
		timed = make([]bool, len(w.values))
	}
	some := false
	for i, t := range w.times {
		to := int32(i)
		if remap != nil {
			if to = remap[i]; to < 0 {
				continue
			}
		}
		timed[to] = t != kinglet.NoTime
		some = some || timed[to]
	}
	if !some {
		return nil
	}
	return timed
}

// mapEnums applies processor_enum.
func (w *walk) mapEnums() {
	apply := func(column int, values map[float64]float64) {
		if to, ok := values[w.values[column]]; ok {
			w.values[column] = to
		}
	}
	for _, e := range w.l.enums {
		apply(int(e.column), e.values)
	}
	for i, f := range w.fresh {
		apply(w.l.columns()+i, f.values)
	}
}

// keepLines makes the lines of this page those of the layout. Remap is nil if
// the columns kept their numbers.
func (w *walk) keepLines(remap []int32) {
	l := w.l
	switch {
	case w.next != nil:
		l.lines = copied(l.lines, w.next)
		if len(l.families) > w.families {
			l.compactFamilies()
		}
	case w.at < len(l.lines):
		l.lines = append([]line(nil), l.lines[:w.at]...) // the end of the page vanished
	}
	if remap == nil {
		return
	}
	for i := range l.lines {
		if ref := l.lines[i].ref; ref >= 0 {
			l.lines[i].ref = remap[ref]
		}
	}
}

// checkLabels holds a label set against the limits (RW-150).
func (c *PageConfig) checkLabels(labels []kinglet.Label) error {
	if n := c.LabelLimit; n > 0 && len(labels) > n {
		return &LimitError{"label_limit", fmt.Sprintf("%s has %d labels, want at most %d", nameOf(labels), len(labels), n)}
	}
	if c.LabelNameLengthLimit <= 0 && c.LabelValueLengthLimit <= 0 {
		return nil
	}
	for _, l := range labels {
		if n := c.LabelNameLengthLimit; n > 0 && len(l.Name) > n {
			return &LimitError{"label_name_length_limit", fmt.Sprintf("label %s has a name of %d bytes, want at most %d", cut(l.Name), len(l.Name), n)}
		}
		if n := c.LabelValueLengthLimit; n > 0 && len(l.Value) > n {
			return &LimitError{"label_value_length_limit", fmt.Sprintf("label %s has a value of %d bytes, want at most %d", cut(l.Name), len(l.Value), n)}
		}
	}
	return nil
}

// cut bounds text from outside in a message.
func cut(s string) string {
	const limit = 80
	if len(s) > limit {
		s = s[:limit] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}
