package promtext

import (
	"bytes"

	"kinglet"
)

// parseOpenMetrics is Parse for OpenMetrics text.
func parseOpenMetrics(page []byte, opts Options, emit func(*Sample) error) error {
	family := Metadata{helpQuotes: true}
	sample := Sample{source: textSource{strict: true}, family: &family}
	var starts *createdTimes
	if opts.Created {
		starts = findCreated(page)
	}
	var l Line
	for number := 1; len(page) > 0; number++ {
		line, rest, ended := bytes.Cut(page, newline)
		page = rest
		err := parseOpenMetricsLine(line, &l)
		switch {
		case err == nil && l.Kind == EOF:
			if len(rest) > 0 {
				return &SyntaxError{Line: number + 1, Text: excerpt(rest), Problem: "want nothing after # EOF"}
			}
			return nil
		case err == nil && !ended:
			err = syntax(line, "want a line feed at the end of the line, and # EOF")
		case err == nil && l.Kind == SampleLine:
			err = sample.readOpenMetrics(&l, opts.NoExemplars)
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
		if starts != nil && starts.apply(&sample) {
			continue
		}
		sample.Line = number
		if err := emit(&sample); err != nil {
			return err
		}
	}
	return &SyntaxError{Problem: "want # EOF at the end of an OpenMetrics page"}
}

// parseOpenMetricsLine is ParseLine for OpenMetrics, where one blank, no more
// and no less, separates tokens, and the only comments are those with a
// meaning.
func parseOpenMetricsLine(line []byte, l *Line) error {
	*l = Line{}
	if len(line) > 0 && line[0] == '#' {
		return parseOpenMetricsComment(line, l)
	}
	end := nameEnd(line)
	if end < len(line) && line[end] == '{' {
		width := bracesEnd(line[end:])
		if width < 0 {
			return syntax(line, "want } after the labels")
		}
		end += width
	}
	if end == 0 {
		return syntax(line, "want a metric name, # HELP, # TYPE, # UNIT or # EOF")
	}
	l.Kind, l.Series = SampleLine, line[:end]
	rest := line[end:]
	if l.Value, rest = cutSpaced(rest); l.Value == nil {
		return syntax(line, "want one blank and a value after the series")
	}
	if !bytes.HasPrefix(rest, exemplarMark) {
		l.Time, rest = cutSpaced(rest)
	}
	if bytes.HasPrefix(rest, exemplarMark) {
		l.Exemplar, rest = rest[len(exemplarMark)-1:], nil
	}
	if len(rest) > 0 {
		return syntax(line, "want a timestamp, an exemplar or the end of the line after the value")
	}
	return nil
}

var exemplarMark = []byte(" # {")

// parseOpenMetricsComment takes apart a line that begins with #.
func parseOpenMetricsComment(line []byte, l *Line) error {
	if string(line) == "# EOF" {
		l.Kind = EOF
		return nil
	}
	rest, ok := bytes.CutPrefix(line, []byte("# "))
	if !ok || len(rest) < 5 || rest[4] != ' ' {
		return syntax(line, "want # HELP, # TYPE, # UNIT or # EOF")
	}
	word := string(rest[:4])
	switch word {
	case "HELP":
		l.Kind = Help
	case "TYPE":
		l.Kind = Type
	case "UNIT":
		l.Kind = Unit
	default:
		return syntax(line, "want # HELP, # TYPE, # UNIT or # EOF")
	}
	if l.Family, rest, ok = cutFamily(rest[5:]); !ok {
		return syntax(line, "want a metric name after "+word)
	}
	if len(rest) == 0 || rest[0] != ' ' {
		return syntax(line, "want one blank and a text after the metric name")
	}
	l.Text = rest[1:]
	if l.Kind == Unit && len(l.Text) > 0 {
		if base, ok := bytes.CutSuffix(l.Family, l.Text); !ok || !bytes.HasSuffix(base, []byte("_")) {
			return syntax(line, "want a unit that the metric name ends with, behind _")
		}
	}
	return checkMetadata(line, l, OpenMetrics)
}

// bracesEnd is the offset behind the brace that closes the one b begins with,
// or -1.
func bracesEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '}':
			return i + 1
		case '"':
			width := quoteEnd(b[i:])
			if width < 0 {
				return -1
			}
			i += width - 1
		}
	}
	return -1
}

// cutSpaced takes one blank and the token behind it off the front of b; the
// token is nil if they are not there.
func cutSpaced(b []byte) (token, rest []byte) {
	if len(b) < 2 || b[0] != ' ' || b[1] == ' ' {
		return nil, b
	}
	end := bytes.IndexByte(b[1:], ' ')
	if end < 0 {
		return b[1:], nil
	}
	return b[1 : end+1], b[end+1:]
}

// readOpenMetrics reads the numbers of a line, and its exemplar.
func (s *Sample) readOpenMetrics(l *Line, noExemplars bool) (err error) {
	s.Series, s.TimestampMs, s.StartMs = l.Series, kinglet.NoTime, 0
	s.Exemplars = s.Exemplars[:0]
	if s.Value, err = ParseValue(l.Value); err != nil {
		return err
	}
	if l.Time != nil {
		if s.TimestampMs, err = parseSeconds(l.Time); err != nil {
			return err
		}
	}
	if l.Exemplar == nil {
		return nil
	}
	e, err := parseExemplar(l.Exemplar, s.TimestampMs)
	if err != nil || noExemplars {
		return err
	}
	if finishExemplar(&e) {
		s.Exemplars = append(s.Exemplars, e)
	}
	return nil
}
