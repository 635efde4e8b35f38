// Package promtext turns exposition pages into samples: the Prometheus text
// format (0.0.4 and 1.0.0), OpenMetrics 1.0 text, and the delimited protobuf
// of io.prometheus.client.MetricFamily. Bytes go in, samples come out; the
// package opens nothing, starts nothing and keeps nothing of a page. It never
// relabels, and never decides what a sample is worth.
//
// Two ways lead through it. Parse takes a whole page of any format and calls
// back for each sample. ParseLine, AfterSeries, ReadSample and ParseSeries take
// the text format line by line, for a caller that knows most lines of a page
// from the page before. Neither allocates per line once warm: label strings
// are made only where ParseSeries or Sample.AppendLabels is asked for them.
//
// What is accepted, and where that differs from Prometheus' own parser, is in
// docs/exposition.md.
package promtext

import (
	"errors"
	"fmt"

	"kinglet"
)

// Format is a format of exposition pages.
type Format uint8

const (
	Text        Format = iota // Prometheus text 0.0.4 and 1.0.0
	OpenMetrics               // OpenMetrics text 1.0.0 and 0.0.1
	Protobuf                  // length-delimited io.prometheus.client.MetricFamily
)

// String is the format's name in messages.
func (f Format) String() string {
	switch f {
	case Text:
		return "text"
	case OpenMetrics:
		return "OpenMetrics"
	case Protobuf:
		return "protobuf"
	}
	return fmt.Sprintf("format %d", uint8(f))
}

// Options says what Parse is to make of a page. The zero value reads a page as
// Prometheus does by default.
type Options struct {
	// ClassicOnly gives protobuf histograms as classic series, whether they have
	// a native form or not.
	ClassicOnly bool
	// ClassicToo also gives the classic series of a protobuf histogram that is
	// native; otherwise such a histogram is given as native only (RW-100). With
	// CustomBuckets it also gives the series that were turned into one.
	ClassicToo bool
	// CustomBuckets turns each classic histogram into a native one whose buckets
	// are the classic ones (schema -53), in place of its series (RW-99). Those
	// must stand next to each other.
	CustomBuckets bool
	// BadHistogram, if set, is told of each classic histogram that cannot be
	// turned, and is left out with its series.
	BadHistogram func(*SyntaxError)
	// Created takes the _created series of OpenMetrics counters, histograms
	// and summaries as start timestamps of their siblings, and leaves the
	// series themselves out. Otherwise they are ordinary series (RW-103).
	Created bool
	// NoExemplars leaves exemplars out of samples. They are still checked.
	NoExemplars bool
	// BadLine, if set, is told of each bad line, which is then skipped.
	// Otherwise the first one ends the parse. A text page, or an OpenMetrics
	// page, that lacks something as a whole (# EOF) is bad in any case.
	BadLine func(*SyntaxError)
}

// Sample is one sample of a page, of whatever format. It and what it points to
// belong to the parser and hold until the callback returns, except Histogram
// and the label slices of Exemplars, which are made for the receiver to keep.
type Sample struct {
	// Series identifies the series among those of its format: equal bytes mean
	// equal labels, and that all are native histograms or none is. In the text
	// formats it is the text of the page up to the value, not checked yet; in
	// protobuf, name and labels with separators.
	Series []byte
	Value  float64 // unless Histogram is set
	// TimestampMs is what the page says, in milliseconds since the Unix epoch,
	// or kinglet.NoTime.
	TimestampMs int64
	StartMs     int64              // start ("created") timestamp in milliseconds since the Unix epoch; 0 for unknown
	Histogram   *kinglet.Histogram // of a native histogram, else nil
	// Exemplars of this sample. One for which the page has no timestamp has
	// that of the sample, which may be kinglet.NoTime (RW-89).
	Exemplars []kinglet.Exemplar
	Line      int // 1-based line of a text page; 0 in protobuf

	source labelSource
	family *Metadata
	meta   *kinglet.Meta // if set, in place of what family says
}

// labelSource knows how a format writes the series of the sample in hand.
type labelSource interface {
	appendLabels(dst []kinglet.Label, series []byte) ([]kinglet.Label, error)
	familyName(series []byte) string // what to ask Metadata for; "" if it cannot be read
}

// AppendLabels appends the labels of the series to dst: __name__ first, then in
// the order of the page. Escapes are resolved; empty values are kept, for the
// caller to drop. The strings are the caller's. In the text formats this is
// what finds a series faulty, with a *SyntaxError: a caller that has had these
// bytes checked before need not ask again.
func (s *Sample) AppendLabels(dst []kinglet.Label) ([]kinglet.Label, error) {
	labels, err := s.source.appendLabels(dst, s.Series)
	if err != nil {
		return dst, At(err, s.Line, nil)
	}
	return labels, nil
}

// Meta is what the page has said so far of the sample's family, or nil if
// nothing. Samples of one family share it; it is the caller's to keep.
func (s *Sample) Meta() *kinglet.Meta {
	if s.meta != nil {
		return s.meta
	}
	return s.family.Of(s.source.familyName(s.Series))
}

// Parse reads a whole page and gives each sample to emit, in the order of the
// page. It returns the first fault of the page, a *SyntaxError, or what emit
// returned; samples before a fault have been given by then, so that a caller
// who wants all or nothing (RW-115) must hold them back.
func Parse(page []byte, format Format, opts Options, emit func(*Sample) error) error {
	if !opts.CustomBuckets {
		return parse(page, format, opts, emit)
	}
	c := customBuckets{opts: opts, emit: emit}
	if err := parse(page, format, opts, c.take); err != nil {
		return err
	}
	return c.flush()
}

func parse(page []byte, format Format, opts Options, emit func(*Sample) error) error {
	switch format {
	case Text:
		return parseText(page, opts, emit)
	case OpenMetrics:
		return parseOpenMetrics(page, opts, emit)
	case Protobuf:
		return ParseProto(page, opts, emit)
	}
	return fmt.Errorf("no parser for %v", format)
}

// badLine lets the caller of Parse decide on a faulty line: nil to go on.
func (o *Options) badLine(err error, line int, text []byte) error {
	err = At(err, line, text)
	if fault, ok := errors.AsType[*SyntaxError](err); ok && o.BadLine != nil {
		o.BadLine(fault)
		return nil
	}
	return err
}
