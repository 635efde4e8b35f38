package promtext

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"kinglet"
)

// The second parser is Prometheus' own model/textparse, with the checks that
// Prometheus' scrape loop adds (names valid, label names unique). These are all
// the differences; each has its place in this file.
//
//  1. A NUL outside a quoted string: Prometheus takes it as the end of the page
//     and silently drops what follows, or moves past the byte that follows it.
//     Here it is a byte like others. Pages with NUL are not compared.
//  2. A line feed inside quotes: Prometheus reads on in the next line. Here a
//     line ends at LF, always, as the format has it; the page is refused.
//     See breaksInQuotes.
//  3. A CR before LF, in the text format: Prometheus refuses the line. Here it
//     is dropped. See withoutCR.
//  4. Blanks before the metric name, in the text format: Prometheus makes them
//     part of the name. Here they are skipped (RW-116). See trimName.
//  5. le and quantile: Prometheus rewrites them as floats ("1" as "1.0"). Here
//     they keep the text of the page, so that series keep their identity.
//     See sameNumber. In protobuf, which has numbers, both write "1.0".
//  6. Escapes in exemplar labels: Prometheus leaves them unresolved. Here they
//     are resolved as in other labels. See unescapeExemplars.
//  7. An exemplar that receivers refuse (names empty or twice, not UTF-8, more
//     than 128 characters): Prometheus drops it when it stores it. Here it is
//     dropped when it is read (RW-92). See faultyExemplar.
//  8. OpenMetrics timestamps beyond int64 milliseconds: Prometheus converts
//     them to whatever the processor gives. Here the line is refused.
//     See hugeTime.
//  9. NaN in protobuf: Prometheus keeps its bits, so that a target can send
//     the stale marker. Here it becomes the one quiet NaN (RW-38). See sameFloat.
//  10. A start of exactly 0 in protobuf: Prometheus calls it unknown. Here it is
//     1, as a true 0 is to be (RW-101). See sameStart.
//  11. A second native histogram of a family: Prometheus begins with the exemplar
//     where it stopped in the one before, and so leaves some out. Here all are
//     given. See sameExemplars.
//  12. An untyped metric without a value in protobuf, which is 0: Prometheus gives
//     the value of the untyped metric before. See sameValue.
//  13. Groups, which protobuf has given up, and packed numbers that reach beyond
//     their field: Prometheus skips and reads them. Here the page is refused. So
//     are native histograms with a bucket whose index does not fit 32 bits, with a
//     negative one that reducing the schema would hide, or with spans that do not
//     fit the buckets; the last Prometheus checks for the first metric of a family
//     only, and may panic on others. See oddWire and protoOracle.
//  14. A family with both native and classic histograms: Prometheus takes some for
//     the other form. Here each is read as what it is. Such pages are not
//     compared. See mixesForms.
//  15. A native histogram with empty spans, or whose schema was reduced: Prometheus
//     may leave spans that touch apart. Here they are joined; the buckets are the same. See
//     checkedHistogram.

// textOracle is collect done by Prometheus' parser.
func textOracle(page []byte, contentType string) ([]kept, error) {
	p, err := textparse.New(page, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return nil, err
	}
	return drain(p, false)
}

// protoOracle is collect for protobuf done by Prometheus' parser. A panic of it
// is an error here.
func protoOracle(page []byte, classicToo bool) (out []kept, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return drain(textparse.NewProtobufParser(page, false, classicToo, false, false, labels.NewSymbolTable()), true)
}

// drain reads all samples. Asking for starts changes what an OpenMetrics
// parser gives next, so that this is a choice.
func drain(p textparse.Parser, starts bool) ([]kept, error) {
	var out []kept
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if entry != textparse.EntrySeries && entry != textparse.EntryHistogram {
			continue
		}
		k := kept{TimestampMs: kinglet.NoTime}
		var timeMs *int64
		if entry == textparse.EntryHistogram {
			var ints *histogram.Histogram
			var floats *histogram.FloatHistogram
			_, timeMs, ints, floats = p.Histogram()
			if err := checkedHistogram(ints, floats); err != nil {
				return nil, err
			}
			k.Histogram = fromPrometheus(ints, floats)
		} else {
			_, timeMs, k.Value = p.Series()
		}
		if timeMs != nil {
			k.TimestampMs = *timeMs
		}
		var lset labels.Labels
		p.Labels(&lset)
		if k.Labels, err = checkedLabels(lset); err != nil {
			return nil, err
		}
		var e exemplar.Exemplar
		for p.Exemplar(&e) {
			k.Exemplars = append(k.Exemplars, fromExemplar(e, k.TimestampMs))
			e = exemplar.Exemplar{}
		}
		if starts {
			k.StartMs = p.StartTimestamp()
		}
		out = append(out, k)
	}
}

// checkedLabels does what the scrape loop of Prometheus does with labels.
func checkedLabels(lset labels.Labels) ([]kinglet.Label, error) {
	if name, twice := lset.HasDuplicateLabelNames(); twice {
		return nil, errors.New("label name twice: " + name)
	}
	if !lset.Has(model.MetricNameLabel) || !lset.IsValid(model.UTF8Validation) {
		return nil, errors.New("invalid names")
	}
	var out []kinglet.Label
	lset.Range(func(l labels.Label) {
		if l.Value != "" {
			out = append(out, kinglet.Label{Name: l.Name, Value: l.Value})
		}
	})
	return out, nil
}

// checkedHistogram does what the scrape loop and the database of Prometheus do
// with native histograms.
func checkedHistogram(ints *histogram.Histogram, floats *histogram.FloatHistogram) error {
	if h := ints; h != nil {
		if histogram.IsExponentialSchemaReserved(h.Schema) && h.Schema > histogram.ExponentialSchemaMax {
			if err := h.ReduceResolution(histogram.ExponentialSchemaMax); err != nil {
				return err
			}
		}
		return h.Compact(0).Validate()
	}
	h := floats
	if histogram.IsExponentialSchemaReserved(h.Schema) && h.Schema > histogram.ExponentialSchemaMax {
		if err := h.ReduceResolution(histogram.ExponentialSchemaMax); err != nil {
			return err
		}
	}
	return h.Compact(0).Validate()
}

func fromExemplar(e exemplar.Exemplar, sampleMs int64) kinglet.Exemplar {
	out := kinglet.Exemplar{Value: e.Value, TimestampMs: sampleMs}
	if e.HasTs {
		out.TimestampMs = e.Ts
	}
	e.Labels.Range(func(l labels.Label) {
		out.Labels = append(out.Labels, kinglet.Label{Name: l.Name, Value: l.Value})
	})
	return out
}

func fromPrometheus(ints *histogram.Histogram, floats *histogram.FloatHistogram) *kinglet.Histogram {
	spans := func(in []histogram.Span) (out []kinglet.Span) {
		for _, s := range in {
			out = append(out, kinglet.Span{Offset: s.Offset, Length: s.Length})
		}
		return out
	}
	if ints != nil {
		return &kinglet.Histogram{
			Count: ints.Count, Sum: ints.Sum, Schema: ints.Schema, ZeroThreshold: ints.ZeroThreshold, ZeroCount: ints.ZeroCount,
			PositiveSpans: spans(ints.PositiveSpans), NegativeSpans: spans(ints.NegativeSpans),
			PositiveDeltas: ints.PositiveBuckets, NegativeDeltas: ints.NegativeBuckets,
			Gauge: ints.CounterResetHint == histogram.GaugeType,
		}
	}
	return &kinglet.Histogram{
		Float: true, CountFloat: floats.Count, Sum: floats.Sum, Schema: floats.Schema,
		ZeroThreshold: floats.ZeroThreshold, ZeroCountFloat: floats.ZeroCount,
		PositiveSpans: spans(floats.PositiveSpans), NegativeSpans: spans(floats.NegativeSpans),
		PositiveCounts: floats.PositiveBuckets, NegativeCounts: floats.NegativeBuckets,
		Gauge: floats.CounterResetHint == histogram.GaugeType,
	}
}

// compareSamples reports the first sample in which two readings differ.
func compareSamples(t *testing.T, got, want []kept) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d samples, Prometheus has %d:\n%v\n%v", len(got), len(want), got, want)
	}
	for i := range got {
		g, w := got[i], want[i]
		if !slices.EqualFunc(g.Labels, w.Labels, sameLabel) {
			t.Fatalf("sample %d is of %q\nPrometheus has %q", i, g.Labels, w.Labels)
		}
		if !sameValue(g, w) || g.TimestampMs != w.TimestampMs || !sameStart(g.StartMs, w.StartMs) {
			t.Fatalf("%q: %x at %d since %d\nPrometheus has %x at %d since %d", g.Labels,
				math.Float64bits(g.Value), g.TimestampMs, g.StartMs, math.Float64bits(w.Value), w.TimestampMs, w.StartMs)
		}
		if !sameExemplars(g, w) {
			t.Fatalf("%q: exemplars %v\nPrometheus has %v", g.Labels, g.Exemplars, w.Exemplars)
		}
		if diff := gocmp.Diff(w.Histogram, g.Histogram, cmpopts.EquateEmpty(), gocmp.Comparer(sameFloat)); diff != "" {
			t.Fatalf("%q: - Prometheus, + kinglet: %s", g.Labels, diff)
		}
	}
}

func sameLabel(g, w kinglet.Label) bool {
	return g.Name == w.Name && (g.Value == w.Value || sameNumber(g, w) || g.Name == "__name__" && g.Value == trimName(w.Value))
}

// sameNumber is difference 5.
func sameNumber(g, w kinglet.Label) bool {
	if g.Name != "le" && g.Name != "quantile" {
		return false
	}
	f, err := strconv.ParseFloat(g.Value, 64)
	return err == nil && labels.FormatOpenMetricsFloat(f) == w.Value
}

// trimName is difference 4.
func trimName(name string) string { return strings.TrimLeft(name, " \t") }

// sameValue is difference 12.
func sameValue(g, w kept) bool {
	return sameFloat(g.Value, w.Value) || g.Value == 0 && g.Meta != nil && g.Meta.Type == kinglet.TypeUnknown
}

// sameFloat is difference 9.
func sameFloat(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
}

// sameStart is difference 10.
func sameStart(g, w int64) bool { return g == w || g == 1 && w == 0 }

// sameExemplars is difference 11.
func sameExemplars(g, w kept) bool {
	if skip := len(g.Exemplars) - len(w.Exemplars); g.Histogram != nil && skip > 0 {
		return slices.EqualFunc(g.Exemplars[skip:], w.Exemplars, sameExemplar)
	}
	return slices.EqualFunc(g.Exemplars, w.Exemplars, sameExemplar)
}

// oddWire is difference 13, seen from our side.
func oddWire(err error) bool {
	fault, ok := errors.AsType[*SyntaxError](err)
	return ok && slices.Contains([]string{protoWanted, indexWanted, negativeWanted, spansWanted}, fault.Problem)
}

func sameExemplar(g, w kinglet.Exemplar) bool {
	return sameFloat(g.Value, w.Value) && g.TimestampMs == w.TimestampMs && slices.Equal(g.Labels, w.Labels)
}

// unescapeExemplars is difference 6. It also sorts: resolved names may stand in
// another order.
func unescapeExemplars(samples []kept) {
	for _, s := range samples {
		for _, e := range s.Exemplars {
			for i, l := range e.Labels {
				e.Labels[i] = kinglet.Label{Name: unescape(l.Name, true), Value: unescape(l.Value, true)}
			}
			slices.SortFunc(e.Labels, func(a, b kinglet.Label) int { return cmp.Compare(a.Name, b.Name) })
		}
	}
}

// dropFaultyExemplars is difference 7.
func dropFaultyExemplars(samples []kept) {
	for i := range samples {
		samples[i].Exemplars = slices.DeleteFunc(samples[i].Exemplars, faultyExemplar)
	}
}

func faultyExemplar(e kinglet.Exemplar) bool {
	characters := 0
	names := map[string]bool{}
	for _, l := range e.Labels {
		if l.Name == "" || names[l.Name] || !utf8.ValidString(l.Name) || !utf8.ValidString(l.Value) {
			return true
		}
		names[l.Name] = true
		characters += utf8.RuneCountInString(l.Name) + utf8.RuneCountInString(l.Value)
	}
	return characters > 128
}

// withoutCR is difference 3.
func withoutCR(page []byte) []byte {
	return bytes.TrimSuffix(bytes.ReplaceAll(page, []byte("\r\n"), []byte("\n")), []byte("\r"))
}

// hugeTime is difference 8, seen from our side.
func hugeTime(err error) bool {
	fault, ok := errors.AsType[*SyntaxError](err)
	return ok && fault.Problem == secondsWanted
}

// breaksInQuotes is difference 2, by a rough look: some line has an odd number
// of quotes, and is no comment.
func breaksInQuotes(page []byte) bool {
	for line := range bytes.SplitSeq(page, []byte("\n")) {
		line = bytes.TrimLeft(line, " \t")
		if bytes.Count(bytes.ReplaceAll(bytes.ReplaceAll(line, []byte(`\\`), nil), []byte(`\"`), nil), []byte(`"`))%2 == 1 {
			return true
		}
	}
	return false
}

// mixesForms is difference 14.
func mixesForms(page []byte) bool {
	for len(page) > 0 {
		length, width := varint(page)
		if page = page[width:]; width == 0 || length > uint64(len(page)) {
			return false
		}
		var f protoFamily
		f.decode(page[:length])
		page = page[length:]
		forms := map[bool]bool{}
		for _, metric := range f.metrics {
			var m protoMetric
			m.decode(metric)
			forms[m.histogram.native()] = true
		}
		if f.typ >= protoHistogramType && len(forms) > 1 {
			return true
		}
	}
	return false
}
