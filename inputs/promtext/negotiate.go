package promtext

import (
	"fmt"
	"mime"
	"slices"
	"strings"
)

// Protocol is a format and version that a target can be asked for, by the name
// that Prometheus' scrape_protocols has for it.
type Protocol string

// The protocols there are. OpenMetrics 2.0 is not among them: it is not
// finished, and must not be asked for (RW-107).
const (
	PrometheusProto  Protocol = "PrometheusProto"
	OpenMetricsText1 Protocol = "OpenMetricsText1.0.0"
	OpenMetricsText0 Protocol = "OpenMetricsText0.0.1"
	PrometheusText1  Protocol = "PrometheusText1.0.0"
	PrometheusText0  Protocol = "PrometheusText0.0.4"
)

const (
	mediaText        = "text/plain"
	mediaOpenMetrics = "application/openmetrics-text"
	mediaProtobuf    = "application/vnd.google.protobuf"
)

// Protocols are all there are, in the order in which Prometheus asks for them
// when it wants native histograms (RW-106); without the first, in the order in
// which it asks otherwise (RW-105).
func Protocols() []Protocol {
	return []Protocol{PrometheusProto, OpenMetricsText1, OpenMetricsText0, PrometheusText1, PrometheusText0}
}

// Validate says whether p is one of Protocols.
func (p Protocol) Validate() error {
	if slices.Contains(Protocols(), p) {
		return nil
	}
	names := make([]string, 0, len(Protocols()))
	for _, known := range Protocols() {
		names = append(names, string(known))
	}
	return fmt.Errorf("%q: want one of %s", string(p), strings.Join(names, ", "))
}

// Format is what pages of that protocol are parsed as. It is meant for a
// protocol that is valid; others are taken for text.
func (p Protocol) Format() Format {
	switch p {
	case PrometheusProto:
		return Protobuf
	case OpenMetricsText1, OpenMetricsText0:
		return OpenMetrics
	}
	return Text
}

// mediaType is p as it stands in an Accept header, "" if it is not valid.
func (p Protocol) mediaType() string {
	switch p {
	case PrometheusProto:
		return mediaProtobuf + ";proto=io.prometheus.client.MetricFamily;encoding=delimited"
	case OpenMetricsText1:
		return mediaOpenMetrics + ";version=1.0.0"
	case OpenMetricsText0:
		return mediaOpenMetrics + ";version=0.0.1"
	case PrometheusText1:
		return mediaText + ";version=1.0.0"
	case PrometheusText0:
		return mediaText + ";version=0.0.4"
	}
	return ""
}

// Escaping is how a target is to write names that are not plain (RW-108).
type Escaping string

// The escapings there are. With AllowUTF8 names come as they are.
const (
	AllowUTF8   Escaping = "allow-utf-8"
	Underscores Escaping = "underscores"
	Dots        Escaping = "dots"
	Values      Escaping = "values"
)

// Accept is the Accept header that asks for protocols, the first one first,
// and for anything else after them (RW-105, RW-106). Protocols that are not
// valid, or there twice, are left out. Only the newer text formats know
// escaping.
func Accept(protocols []Protocol, escaping Escaping) string {
	weight := len(Protocols()) + 1 // in tenths
	var header strings.Builder
	for i, p := range protocols {
		media := p.mediaType()
		if media == "" || slices.Contains(protocols[:i], p) {
			continue
		}
		header.WriteString(media)
		if p == PrometheusText1 || p == OpenMetricsText1 {
			fmt.Fprintf(&header, ";escaping=%s", escaping)
		}
		fmt.Fprintf(&header, ";q=0.%d,", weight)
		weight--
	}
	fmt.Fprintf(&header, "*/*;q=0.%d", weight)
	return header.String()
}

// FormatOf is the format that the Content-Type of an answer names, whatever its
// parameters (RW-113). It is false for one that is missing, unreadable or of
// another kind (RW-114).
func FormatOf(contentType string) (Format, bool) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return Text, false
	}
	switch media {
	case mediaText:
		return Text, true
	case mediaOpenMetrics:
		return OpenMetrics, true
	case mediaProtobuf:
		return Protobuf, true
	}
	return Text, false
}
