package promtext

import (
	"bytes"

	"kinglet"
)

// textSource makes the labels of series in the text formats.
type textSource struct{ strict bool }

func (t textSource) appendLabels(dst []kinglet.Label, series []byte) ([]kinglet.Label, error) {
	return parseSeries(dst, series, t.strict)
}

func (t textSource) familyName(series []byte) string { return seriesName(series, t.strict) }

// parseText is Parse for the text format.
func parseText(page []byte, opts Options, emit func(*Sample) error) error {
	var family Metadata
	sample := Sample{source: textSource{}, family: &family}
	var l Line
	for number := 1; len(page) > 0; number++ {
		var line []byte
		line, page, _ = bytes.Cut(page, newline)
		err := ParseLine(line, &l)
		if err == nil && l.Kind == SampleLine {
			err = sample.readText(&l)
		}
		if err != nil {
			if err = opts.badLine(err, number, line); err != nil {
				return err
			}
			continue
		}
		if l.Kind != SampleLine {
			family.Observe(&l)
			continue
		}
		sample.Line = number
		if err := emit(&sample); err != nil {
			return err
		}
	}
	return nil
}

var newline = []byte{'\n'}

// readText reads the numbers of a line of the text format.
func (s *Sample) readText(l *Line) (err error) {
	s.Series = l.Series
	s.TimestampMs = kinglet.NoTime
	if s.Value, err = ParseValue(l.Value); err != nil {
		return err
	}
	if l.Time != nil {
		s.TimestampMs, err = ParseTimestamp(l.Time)
	}
	return err
}
