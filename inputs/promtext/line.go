package promtext

import (
	"bytes"
	"unicode/utf8"

	"kinglet"
)

// Kind says what a line is.
type Kind uint8

const (
	Blank   Kind = iota
	Comment      // none of the kinds that follow
	Help         // # HELP family text
	Type         // # TYPE family word
	Unit         // # UNIT family unit; OpenMetrics only
	EOF          // # EOF; OpenMetrics only
	SampleLine
)

// Line is one line of a page, taken apart. Its slices point into the page, and
// those that do not belong to the Kind are nil.
type Line struct {
	Kind Kind

	// Of a SampleLine:
	Series   []byte // name and labels as the page spells them; ParseSeries checks them
	Value    []byte // ParseValue reads it
	Time     []byte // ParseTimestamp reads it; nil if there is none
	Exemplar []byte // from its brace on; OpenMetrics only

	// Of Help, Type and Unit:
	Family []byte             // name of the family, without quotes, escapes in place
	Text   []byte             // the help text (escapes in place), the type's word, the unit
	Type   kinglet.MetricType // of Type
}

// ParseLine takes one line of the text format apart, given without its LF; a CR
// at its end is dropped. It finds where the parts are: whether the series part
// is well formed is left to ParseSeries, the number to ParseValue, so that a
// caller who knows a series' text already does not pay for it again. A line is
// good if all of them accept it. It allocates only for a *SyntaxError.
func ParseLine(line []byte, l *Line) error {
	*l = Line{}
	line = skipBlanks(trimCR(line))
	if len(line) == 0 {
		l.Kind = Blank
		return nil
	}
	if line[0] == '#' {
		return parseComment(line, l)
	}
	end, err := seriesEnd(line)
	if err != nil {
		return err
	}
	l.Kind = SampleLine
	l.Series = line[:end]
	l.Value, l.Time, err = afterSeries(line[end:])
	if err != nil {
		return At(err, 0, line)
	}
	return nil
}

// seriesEnd is where the series part of a text line ends. Behind the labels
// come a number and a timestamp, neither of which may hold a brace: the last
// brace of a good line closes the labels, and ParseSeries refuses the rest.
func seriesEnd(line []byte) (int, error) {
	if bytes.IndexByte(line, '{') >= 0 {
		end := bytes.LastIndexByte(line, '}')
		if end < 0 {
			return 0, syntax(line, "want } after the labels")
		}
		return end + 1, nil
	}
	end := nameEnd(line)
	if end == 0 {
		return 0, syntax(line, "want a metric name")
	}
	return end, nil
}

// AfterSeries takes apart what follows the series on a line of the text format,
// given without its LF: a value, a timestamp in milliseconds if there is one
// (else nil), and nothing more. The numbers are not checked. It allocates only
// for a *SyntaxError.
func AfterSeries(rest []byte) (value, time []byte, err error) {
	return afterSeries(trimCR(rest))
}

func afterSeries(rest []byte) (value, time []byte, err error) {
	value, rest = cutToken(skipBlanks(rest))
	if len(value) == 0 {
		return nil, nil, syntax(rest, "want a value after the series")
	}
	time, rest = cutToken(skipBlanks(rest))
	if len(time) == 0 {
		return value, nil, nil
	}
	if rest = skipBlanks(rest); len(rest) > 0 {
		return nil, nil, syntax(rest, "want the end of the line after the timestamp")
	}
	return value, time, nil
}

// ReadSample is AfterSeries with the numbers read: what follows a series that
// is known, in one step. timeMs is kinglet.NoTime if the line has none.
func ReadSample(rest []byte) (value float64, timeMs int64, err error) {
	if value, timeMs, ok := readPlain(rest); ok {
		return value, timeMs, nil
	}
	v, t, err := AfterSeries(rest)
	if err != nil {
		return 0, 0, err
	}
	if value, err = ParseValue(v); err != nil {
		return 0, 0, err
	}
	if t == nil {
		return value, kinglet.NoTime, nil
	}
	if timeMs, err = ParseTimestamp(t); err != nil {
		return 0, 0, err
	}
	return value, timeMs, nil
}

// readPlain reads what most lines have behind the series: one blank, a short
// decimal, and perhaps one blank and a timestamp. It passes over the bytes once.
func readPlain(rest []byte) (value float64, timeMs int64, ok bool) {
	if len(rest) < 2 || rest[0] != ' ' {
		return 0, 0, false
	}
	rest = rest[1:]
	value, width := leadingDecimal(rest)
	if width == 0 {
		return 0, 0, false
	}
	if width == len(rest) {
		return value, kinglet.NoTime, true
	}
	if rest[width] != ' ' {
		return 0, 0, false
	}
	const safe = 18 // as many digits never overflow
	ms, end := appendDigits(0, rest, width+1)
	digits := end - (width + 1)
	return value, int64(ms), end == len(rest) && digits > 0 && digits <= safe
}

// parseComment takes apart a line that begins with #. As in Prometheus, what
// is no HELP or TYPE is a comment, but a HELP or TYPE must be well formed.
func parseComment(line []byte, l *Line) error {
	l.Kind = Comment
	rest := line[1:]
	if len(rest) == 0 || !blank(rest[0]) {
		return nil
	}
	word, rest := cutToken(skipBlanks(rest))
	if len(rest) == 0 {
		return nil
	}
	switch string(word) {
	case "HELP":
		l.Kind = Help
	case "TYPE":
		l.Kind = Type
	default:
		return nil
	}
	family, text, ok := cutFamily(skipBlanks(rest))
	if !ok {
		return syntax(line, "want a metric name after "+string(word))
	}
	l.Family = family
	if len(skipBlanks(text)) > 0 {
		l.Text = text[1:]
	}
	return checkMetadata(line, l, Text)
}

// checkMetadata checks the text of a HELP or TYPE line, and reads the type.
func checkMetadata(line []byte, l *Line, format Format) error {
	switch l.Kind {
	case Help:
		if !utf8.Valid(l.Text) {
			return syntax(line, "want UTF-8 in the help text")
		}
	case Type:
		var ok bool
		if l.Type, ok = typeWord(l.Text, format); !ok {
			return syntax(line, typeWanted(format))
		}
	}
	return nil
}

// cutFamily takes a family's name, plain or quoted, off the front of b.
func cutFamily(b []byte) (family, rest []byte, ok bool) {
	if len(b) > 0 && b[0] == '"' {
		end := quoteEnd(b)
		if end < 0 {
			return nil, nil, false
		}
		return b[1 : end-1], b[end:], true
	}
	end := nameEnd(b)
	return b[:end], b[end:], end > 0
}

// quoteEnd is the offset behind the quoted string that b begins with, or -1.
func quoteEnd[T string | []byte](b T) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// cutToken takes the bytes up to the next blank off the front of b.
func cutToken(b []byte) (token, rest []byte) {
	for i, c := range b {
		if blank(c) {
			return b[:i], b[i:]
		}
	}
	return b, nil
}

func skipBlanks(b []byte) []byte {
	for len(b) > 0 && blank(b[0]) {
		b = b[1:]
	}
	return b
}

func trimCR(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		return b[:n-1]
	}
	return b
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// nameEnd is the length of the plain metric name that b begins with.
func nameEnd[T string | []byte](b T) int {
	for i := range len(b) {
		c := b[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == ':' || i > 0 && c >= '0' && c <= '9' {
			continue
		}
		return i
	}
	return len(b)
}
