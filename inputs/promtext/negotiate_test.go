package promtext

import "testing"

func TestAcceptAsksAsPrometheusDoes(t *testing.T) {
	for _, tt := range []struct {
		name      string
		protocols []Protocol
		escaping  Escaping
		want      string
	}{
		{"the reference's default (RW-105)", Protocols()[1:], AllowUTF8,
			"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5," +
				"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"},
		{"with native histograms (RW-106)", Protocols(), AllowUTF8,
			"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6," +
				"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4," +
				"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"},
		{"one, with another escaping (RW-108)", []Protocol{PrometheusText1}, Underscores, "text/plain;version=1.0.0;escaping=underscores;q=0.6,*/*;q=0.5"},
		{"the old text knows no escaping (RW-108)", []Protocol{PrometheusText0}, Underscores, "text/plain;version=0.0.4;q=0.6,*/*;q=0.5"},
		{"unknown and repeated ones are left out", []Protocol{PrometheusText0, "OpenMetricsText2.0.0", PrometheusText0}, AllowUTF8, "text/plain;version=0.0.4;q=0.6,*/*;q=0.5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Accept(tt.protocols, tt.escaping); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestFormatOfGoesByTheMediaType(t *testing.T) {
	for _, tt := range []struct {
		contentType string
		want        Format
		ok          bool
	}{
		{"text/plain; version=0.0.4; charset=utf-8; escaping=underscores", Text, true},
		{"text/plain", Text, true},
		{"TEXT/Plain;version=9", Text, true}, // RW-113: parameters do not change the choice
		{"application/openmetrics-text; version=1.0.0; charset=utf-8", OpenMetrics, true},
		{"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", Protobuf, true},
		{"", Text, false}, // RW-114
		{"text/html; charset=utf-8", Text, false},
		{"application/json", Text, false},
		{"text/plain; =", Text, false},
	} {
		if got, ok := FormatOf(tt.contentType); got != tt.want || ok != tt.ok {
			t.Errorf("%q: %v %v, want %v %v", tt.contentType, got, ok, tt.want, tt.ok)
		}
	}
}

func TestProtocolsAreParsedAsTheirFormat(t *testing.T) {
	want := []Format{Protobuf, OpenMetrics, OpenMetrics, Text, Text}
	for i, p := range Protocols() {
		if p.Format() != want[i] || p.Validate() != nil {
			t.Errorf("%s: %v %v", p, p.Format(), p.Validate())
		}
	}
	err := Protocol("OpenMetricsText2.0.0").Validate()
	if message := `"OpenMetricsText2.0.0": want one of PrometheusProto, OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText1.0.0, PrometheusText0.0.4`; err == nil || err.Error() != message {
		t.Errorf("got %v", err)
	}
}
