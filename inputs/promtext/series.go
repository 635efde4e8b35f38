package promtext

import (
	"strings"
	"unicode/utf8"

	"kinglet"
)

// ParseSeries checks the series part of a line of the text format, and appends
// its labels to dst: __name__ first, then the others in the order of the page.
// Escapes are resolved. The name may stand before the braces or, quoted, in
// them (RW-117); label names may be quoted. It refuses a series without a name,
// a name or value that is not UTF-8, an empty label name, and a label name that
// occurs twice (RW-120). Empty values are kept, for the caller to drop. The
// strings share one copy of the text; errors are *SyntaxError.
func ParseSeries(dst []kinglet.Label, series []byte) ([]kinglet.Label, error) {
	return parseSeries(dst, series, false)
}

// seriesReader walks the text of a series. Its dialect is that of the text
// format, or strict: OpenMetrics, where no blank may stand between tokens and
// every label but the last needs its comma.
type seriesReader struct {
	s      string
	at     int
	strict bool
}

func parseSeries(dst []kinglet.Label, series []byte, strict bool) ([]kinglet.Label, error) {
	if !utf8.Valid(series) {
		return dst, syntax(series, "want UTF-8 in names and label values")
	}
	r := seriesReader{s: string(series), strict: strict}
	first := len(dst)
	r.at = nameEnd(r.s)
	out := append(dst, kinglet.Label{Name: kinglet.MetricNameLabel, Value: r.s[:r.at]})
	r.skip()
	if r.at < len(r.s) {
		var problem string
		if r.s[r.at] != '{' {
			return dst, syntax(series, "want { or a value after the metric name")
		}
		if out, problem = r.labels(out, first, false); problem != "" {
			return dst, syntax(series, problem)
		}
		if r.at < len(r.s) {
			return dst, syntax(series, "want a value after the labels")
		}
	}
	if out[first].Value == "" {
		return dst, syntax(series, "want a metric name before or in the braces")
	}
	if name := repeatedName(out[first:]); name != "" {
		return dst, syntax(series, "label "+name+" occurs twice")
	}
	return out, nil
}

// labels reads from the brace that opens to the one that closes. A quoted
// string that stands alone is the name, kept in out[first]; an exemplar has no
// name. It returns what is wrong, or "".
func (r *seriesReader) labels(out []kinglet.Label, first int, exemplar bool) ([]kinglet.Label, string) {
	r.at++
	r.skip()
	for {
		if r.peek() == '}' {
			r.at++
			return out, ""
		}
		name, quoted, problem := r.labelName()
		if problem != "" {
			return nil, problem
		}
		r.skip()
		if c := r.peek(); quoted && !exemplar && (c == ',' || c == '}') {
			if out[first].Value != "" {
				return nil, "want one metric name, not two"
			}
			if name == "" {
				return nil, "want a metric name that is not empty"
			}
			out[first].Value = name
		} else {
			value, problem := r.labelValue()
			if problem != "" {
				return nil, problem
			}
			if name == "" && !exemplar {
				return nil, "want a label name that is not empty"
			}
			out = append(out, kinglet.Label{Name: name, Value: value})
			r.skip()
		}
		if c := r.peek(); c == ',' {
			r.at++
			r.skip()
		} else if r.strict && c != '}' {
			return nil, "want , or } after a label"
		}
	}
}

// labelName reads a label name, or the quoted string in its place.
func (r *seriesReader) labelName() (name string, quoted bool, problem string) {
	if r.peek() == '"' {
		name, problem = r.quoted()
		return name, true, problem
	}
	end := nameEnd(r.s[r.at:])
	if colon := strings.IndexByte(r.s[r.at:r.at+end], ':'); colon >= 0 {
		end = colon
	}
	if end == 0 {
		return "", false, "want a label name or }"
	}
	name = r.s[r.at : r.at+end]
	r.at += end
	return name, false, ""
}

// labelValue reads = and the quoted value.
func (r *seriesReader) labelValue() (value, problem string) {
	if r.peek() != '=' {
		return "", "want = after a label name"
	}
	r.at++
	r.skip()
	if r.peek() != '"' {
		return "", "want a quoted label value after ="
	}
	return r.quoted()
}

// quoted reads a quoted string and resolves its escapes.
func (r *seriesReader) quoted() (text, problem string) {
	rest := r.s[r.at:]
	end := strings.IndexByte(rest[1:], '"') + 2
	if end == 1 {
		return "", "want a closing quote"
	}
	if strings.IndexByte(rest[1:end], '\\') < 0 {
		r.at += end
		return rest[1 : end-1], ""
	}
	if end = quoteEnd(rest); end < 0 {
		return "", "want a closing quote"
	}
	r.at += end
	return unescape(rest[1:end-1], true), ""
}

// peek is the byte that comes next, 0 at the end.
func (r *seriesReader) peek() byte {
	if r.at < len(r.s) {
		return r.s[r.at]
	}
	return 0
}

// skip passes blanks where the dialect has them.
func (r *seriesReader) skip() {
	for !r.strict && r.at < len(r.s) && blank(r.s[r.at]) {
		r.at++
	}
}

// unescape resolves \\ and \n, and \" if quotes is set; any other backslash
// stays as it is (RW-118).
func unescape(s string, quotes bool) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			switch c := s[i+1]; {
			case c == 'n':
				out = append(out, '\n')
				i++
				continue
			case c == '\\' || c == '"' && quotes:
				out = append(out, c)
				i++
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// repeatedName is a name that occurs twice among labels, or "".
func repeatedName(labels []kinglet.Label) string {
	const few = 32 // beyond it a map is cheaper, and an endless line does no harm
	if len(labels) <= few {
		for i := range labels {
			for j := range i {
				if labels[i].Name == labels[j].Name {
					return labels[i].Name
				}
			}
		}
		return ""
	}
	seen := make(map[string]struct{}, len(labels))
	for _, l := range labels {
		if _, ok := seen[l.Name]; ok {
			return l.Name
		}
		seen[l.Name] = struct{}{}
	}
	return ""
}
