//go:build e2e

package rules

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// Sample is one sample as it came over the wire, whichever the protocol.
type Sample struct {
	Request   int     // index of the request it came in
	Labels    []Label // in the order sent
	Value     float64
	T         int64 // ms
	Start     int64 // ms; 0 = not sent
	Hist      *prompb.Histogram
	Exemplars []Exemplar // those that travelled in the same time series; on its first sample
	Type      string     // 2.0 metadata: "counter", ...; "" in 1.0
	Help      string
	Unit      string
}

// Label is a name and value as sent.
type Label struct{ Name, Value string }

// Exemplar is one exemplar as sent.
type Exemplar struct {
	Labels []Label
	Value  float64
	T      int64
}

// FamilyMetadata is the metadata of a family as 1.0 sends it.
type FamilyMetadata struct {
	Family, Type, Help, Unit string
}

// The bit patterns of the rules, and a value that expectations do not look at.
var (
	stale    = math.Float64frombits(0x7ff0000000000002)
	nan      = math.Float64frombits(0x7ff8000000000001)
	anyValue = math.Float64frombits(0x7ff8000000000777)
)

// IsStale tells the marker by its bits, in a histogram's sum too.
func (s Sample) IsStale() bool {
	v := s.Value
	if s.Hist != nil {
		v = s.Hist.Sum
	}
	return math.Float64bits(v) == math.Float64bits(stale)
}

// Get is the value of the first label of that name.
func (s Sample) Get(name string) string {
	for _, l := range s.Labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// Key is the series in canonical form: {a="1",b="2"}, sorted by name.
func (s Sample) Key() string { return labelText(s.Labels) }

func labelText(labels []Label) string {
	sorted := append([]Label(nil), labels...)
	sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].Name < sorted[j].Name })
	parts := make([]string, len(sorted))
	for i, l := range sorted {
		parts[i] = l.Name + "=" + strconv.Quote(l.Value)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// decode fills in the request from its raw body, by its Content-Type alone.
func (r *Request) decode() {
	if len(r.Raw) == 0 {
		r.Fault = errors.New("no body")
		return
	}
	r.Proto, r.Fault = snappy.Decode(nil, r.Raw)
	if r.Fault != nil {
		r.Fault = fmt.Errorf("snappy block: %w", r.Fault)
		return
	}
	r.V2 = strings.Contains(r.Header.Get("Content-Type"), "proto=io.prometheus.write.v2.Request")
	if r.V2 {
		r.Fault = r.decodeV2()
	} else {
		r.Fault = r.decodeV1()
	}
}

func (r *Request) decodeV1() error {
	var m prompb.WriteRequest
	if err := m.Unmarshal(r.Proto); err != nil {
		return fmt.Errorf("remote write 1.0: %w", err)
	}
	r.Series = len(m.Timeseries)
	for _, ts := range m.Timeseries {
		base := Sample{}
		for _, l := range ts.Labels {
			base.Labels = append(base.Labels, Label{l.Name, l.Value})
		}
		var exemplars []Exemplar
		for _, e := range ts.Exemplars {
			x := Exemplar{Value: e.Value, T: e.Timestamp}
			for _, l := range e.Labels {
				x.Labels = append(x.Labels, Label{l.Name, l.Value})
			}
			exemplars = append(exemplars, x)
		}
		for _, s := range ts.Samples {
			one := base
			one.Value, one.T = s.Value, s.Timestamp
			one.Exemplars, exemplars = exemplars, nil
			r.Samples = append(r.Samples, one)
		}
		for i := range ts.Histograms {
			one := base
			one.Hist, one.T = &ts.Histograms[i], ts.Histograms[i].Timestamp
			one.Exemplars, exemplars = exemplars, nil
			r.Samples = append(r.Samples, one)
		}
		if len(exemplars) > 0 { // Prometheus sends them in a series of their own
			base.T, base.Exemplars = math.MinInt64, exemplars
			r.Samples = append(r.Samples, base)
		}
	}
	for _, md := range m.Metadata {
		r.Metadata = append(r.Metadata, FamilyMetadata{md.MetricFamilyName, strings.ToLower(md.Type.String()), md.Help, md.Unit})
	}
	return nil
}

func (r *Request) decodeV2() error {
	var m writev2.Request
	if err := m.Unmarshal(r.Proto); err != nil {
		return fmt.Errorf("remote write 2.0: %w", err)
	}
	r.Symbols, r.Series = m.Symbols, len(m.Timeseries)
	at := func(ref uint32) string {
		if int(ref) >= len(m.Symbols) {
			return "\xffbad reference"
		}
		return m.Symbols[ref]
	}
	labels := func(refs []uint32) []Label {
		var out []Label
		for i := 0; i+1 < len(refs); i += 2 {
			out = append(out, Label{at(refs[i]), at(refs[i+1])})
		}
		return out
	}
	for _, ts := range m.Timeseries {
		base := Sample{
			Labels: labels(ts.LabelsRefs), Help: at(ts.Metadata.HelpRef), Unit: at(ts.Metadata.UnitRef),
			Type: strings.ToLower(strings.TrimPrefix(ts.Metadata.Type.String(), "METRIC_TYPE_")),
		}
		var exemplars []Exemplar
		for _, e := range ts.Exemplars {
			exemplars = append(exemplars, Exemplar{labels(e.LabelsRefs), e.Value, e.Timestamp})
		}
		for _, s := range ts.Samples {
			one := base
			one.Value, one.T, one.Start = s.Value, s.Timestamp, s.StartTimestamp
			one.Exemplars, exemplars = exemplars, nil
			r.Samples = append(r.Samples, one)
		}
		for _, h := range ts.Histograms {
			wire, err := h.Marshal()
			if err != nil {
				return err
			}
			// Both messages share the numbers of their fields, but for 17.
			var same prompb.Histogram
			if err := same.Unmarshal(wire); err != nil {
				return err
			}
			one := base
			one.Hist, one.T, one.Start = &same, h.Timestamp, h.StartTimestamp
			one.Exemplars, exemplars = exemplars, nil
			r.Samples = append(r.Samples, one)
		}
		if len(exemplars) > 0 {
			base.T, base.Exemplars = math.MinInt64, exemplars
			r.Samples = append(r.Samples, base)
		}
	}
	return nil
}
