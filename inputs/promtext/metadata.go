package promtext

import (
	"bytes"
	"strings"

	"kinglet"
)

// Metadata knows the family that a page is speaking of. Feed it the Help, Type
// and Unit lines of a page in order, and ask it for the family of a series that
// stands there; begin each page with Reset. It allocates only for a family it
// is asked about for the first time. It is not for concurrent use.
type Metadata struct {
	family     []byte // of the last line seen, in the page
	typ        kinglet.MetricType
	help, unit []byte
	helpQuotes bool // \" is an escape in help, as in OpenMetrics
	plain      bool // nothing is escaped, as in protobuf
	current    *kinglet.Meta

	known    map[string]*kinglet.Meta // what was given out, by family, so that equal ones are one
	families int                      // seen on this page
}

// Reset forgets where the page stands, not what was given out.
func (m *Metadata) Reset() {
	const slack = 64
	if len(m.known) > 2*m.families+slack {
		clear(m.known) // families come and go: what the pages no longer have goes too
	}
	*m = Metadata{known: m.known}
}

// Observe takes note of a line of kind Help, Type or Unit, whose bytes must
// stay as they are until the next such line; it ignores other kinds.
func (m *Metadata) Observe(l *Line) {
	switch l.Kind {
	case Help, Type, Unit:
	default:
		return
	}
	if !bytes.Equal(m.family, l.Family) {
		m.begin(l.Family)
	}
	m.current = nil
	switch l.Kind {
	case Help:
		m.help = l.Text
	case Type:
		m.typ = l.Type
	case Unit:
		m.unit = l.Text
	}
}

func (m *Metadata) begin(family []byte) {
	m.families++
	m.family, m.typ, m.help, m.unit, m.current = family, kinglet.TypeUnknown, nil, nil, nil
}

// Of is the metadata of the family that the page speaks of, if the series of
// that name (unescaped) is of that family, as x_bucket is of histogram x; else
// nil (RW-24). What it returns is shared and stays as it is.
func (m *Metadata) Of(name string) *kinglet.Meta {
	if m.family == nil || !InFamily(m.text(m.family, true), m.typ, name) {
		return nil
	}
	if m.current == nil {
		m.current = m.remember()
	}
	return m.current
}

// remember makes the current family's Meta, or finds the equal one of before.
func (m *Metadata) remember() *kinglet.Meta {
	meta := kinglet.Meta{
		Family: m.text(m.family, true),
		Type:   m.typ,
		Help:   m.text(m.help, m.helpQuotes),
		Unit:   strings.ToValidUTF8(string(m.unit), "?"), // Prometheus checks it nowhere
	}
	if old, ok := m.known[meta.Family]; ok && *old == meta {
		return old
	}
	if m.known == nil {
		m.known = make(map[string]*kinglet.Meta)
	}
	m.known[meta.Family] = &meta
	return &meta
}

// text resolves escapes where the format has them.
func (m *Metadata) text(b []byte, quotes bool) string {
	if m.plain {
		return string(b)
	}
	return unescape(string(b), quotes)
}

// InFamily reports whether a series of that name is one of a family of that type,
// both unescaped.
func InFamily(family string, typ kinglet.MetricType, name string) bool {
	suffix, ok := strings.CutPrefix(name, family)
	if !ok {
		return false
	}
	switch suffix {
	case "":
		return true
	case "_total":
		return typ == kinglet.TypeCounter
	case "_bucket":
		return typ == kinglet.TypeHistogram || typ == kinglet.TypeGaugeHistogram
	case "_sum", "_count":
		return typ == kinglet.TypeHistogram || typ == kinglet.TypeSummary
	case "_gsum", "_gcount":
		return typ == kinglet.TypeGaugeHistogram
	case "_info":
		return typ == kinglet.TypeInfo
	}
	return false
}

// typeWord reads the word of a TYPE line, which each format has its own of.
func typeWord(word []byte, format Format) (kinglet.MetricType, bool) {
	switch string(word) {
	case "counter":
		return kinglet.TypeCounter, true
	case "gauge":
		return kinglet.TypeGauge, true
	case "histogram":
		return kinglet.TypeHistogram, true
	case "summary":
		return kinglet.TypeSummary, true
	case "untyped":
		return kinglet.TypeUnknown, format == Text
	case "unknown":
		return kinglet.TypeUnknown, format == OpenMetrics
	case "gaugehistogram":
		return kinglet.TypeGaugeHistogram, format == OpenMetrics
	case "info":
		return kinglet.TypeInfo, format == OpenMetrics
	case "stateset":
		return kinglet.TypeStateset, format == OpenMetrics
	}
	return kinglet.TypeUnknown, false
}

// typeWanted names the words that typeWord knows.
func typeWanted(format Format) string {
	if format == OpenMetrics {
		return "want counter, gauge, histogram, gaugehistogram, summary, info, stateset or unknown as the type"
	}
	return "want counter, gauge, histogram, summary or untyped as the type"
}

// seriesName is the metric name in a series part, "" if that is faulty.
func seriesName(series []byte, strict bool) string {
	if end := nameEnd(series); end > 0 {
		return string(series[:end])
	}
	labels, err := parseSeries(nil, series, strict)
	if err != nil {
		return ""
	}
	return labels[0].Value
}
