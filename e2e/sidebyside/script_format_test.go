//go:build e2e

package sidebyside

import (
	"bytes"
	"fmt"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func formatTargets() []*target {
	return []*target{
		plain("openmetrics", job{asPrometheus: map[string]any{"created_timestamps": true}}, openMetrics),
		plain("openmetrics-bad", job{}, openMetricsBad),
		plain("typed-le", job{}, func(s *request) page {
			return text("# TYPE h histogram", fmt.Sprintf(`h_bucket{le="1"} %d`, s.K), fmt.Sprintf(`h_bucket{le="+Inf"} %d`, 2*s.K),
				fmt.Sprintf("h_sum %d", s.K), fmt.Sprintf("h_count %d", 2*s.K), "# TYPE q summary", `q{quantile="1"} 5`,
				"# TYPE untyped_after gauge", `untyped_after{le="1",quantile="1"} 1`)
		}),
		plain("protobuf", job{}, func(s *request) page { return protobuf(mixedFamilies(s)...) }),
	}
}

// openMetrics has what only that format has.
func openMetrics(s *request) page {
	k := s.K
	lines := []string{
		"# TYPE om_requests counter", "# HELP om_requests Requests.",
		fmt.Sprintf(`om_requests_total{code="200"} %d # {trace_id="t%d",span_id="s"} %d.5 %s`, 10*k, k, k, s.stampSeconds(-500)),
		`om_requests_created{code="200"} ` + seconds(s.start),
		fmt.Sprintf(`om_requests_total{code="500"} %d # {trace_id="x%d"} 0.25`, k, k/4),
		`om_requests_created{code="500"} ` + seconds(s.start),
		"# TYPE om_latency_seconds histogram", "# UNIT om_latency_seconds seconds",
	}
	for i, le := range []string{"0.1", "0.5", "2.5", "+Inf"} {
		lines = append(lines, fmt.Sprintf(`om_latency_seconds_bucket{le=%q} %d # {trace_id="b%d-%d"} %v %s`, le, k*(i+1), i, k, 0.05+float64(i), s.stampSeconds(-250)))
	}
	lines = append(lines, fmt.Sprintf("om_latency_seconds_count %d", 4*k), fmt.Sprintf("om_latency_seconds_sum %v", 0.7*float64(k)),
		"om_latency_seconds_created "+seconds(s.start),
		"# TYPE om_build info", `om_build_info{version="1.2"} 1`,
		"# TYPE om_state stateset", `om_state{om_state="on"} 1`, `om_state{om_state="off"} 0`,
		"# TYPE om_sizes gaugehistogram", fmt.Sprintf(`om_sizes_bucket{le="10.0"} %d`, k%5), fmt.Sprintf(`om_sizes_bucket{le="+Inf"} %d`, 5),
		"om_sizes_gcount 5", "om_sizes_gsum 31.5",
		"# TYPE om_wait summary", `om_wait{quantile="0.5"} 0.25`, fmt.Sprintf("om_wait_count %d", k), "om_wait_sum 1.5",
		"# TYPE stamped_om gauge", fmt.Sprintf("stamped_om %d %s", k, s.stampSeconds(-500)),
		"# TYPE om_odd unknown", "om_odd NaN", "# TYPE om_bare counter", "om_bare 5", "# EOF")
	if k%10 == 7 {
		lines = append(lines[:len(lines)-1], fmt.Sprintf(`om_new{k="%d"} 1 # {} 5`, k), "# EOF")
	}
	return page{body: strings.Join(lines, "\n") + "\n", kind: openMetricsType}
}

// openMetricsBad ends, or goes on, where it must not.
func openMetricsBad(s *request) page {
	body := fmt.Sprintf("# TYPE c counter\nc_total %d\n# TYPE g gauge\ng 1\n", s.K)
	switch s.K {
	case 10: // no # EOF
	case 14:
		body += "# EOF\nlate 1\n"
	case 18:
		body += "# EOF"
	case 22:
		body = "\n" + body + "# EOF\n"
	case 26:
		body = "# EOF\n"
	case 30:
		body = "bad{} 1 # {a=\"b\"\n" + body + "# EOF\n"
	default:
		body += "# EOF\n"
	}
	return page{body: body, kind: openMetricsType}
}

// protobuf makes a page in the delimited protobuf format.
func protobuf(families ...*dto.MetricFamily) page {
	var buf bytes.Buffer
	enc := expfmt.NewEncoder(&buf, expfmt.NewFormat(expfmt.TypeProtoDelim).WithEscapingScheme(model.NoEscaping))
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			panic(fmt.Sprintf("encode %s: %v", f.GetName(), err)) // the page is a constant of the test
		}
	}
	return page{body: buf.String(), kind: protobufType}
}

func family(name string, kind dto.MetricType, metrics ...*dto.Metric) *dto.MetricFamily {
	return &dto.MetricFamily{Name: new(name), Help: new("of " + name), Type: kind.Enum(), Metric: metrics}
}

func pairs(kv ...string) []*dto.LabelPair {
	var all []*dto.LabelPair
	for i := 0; i < len(kv); i += 2 {
		all = append(all, &dto.LabelPair{Name: new(kv[i]), Value: new(kv[i+1])})
	}
	return all
}

// mixedFamilies is every type that is not a native histogram.
func mixedFamilies(s *request) []*dto.MetricFamily {
	k := float64(s.K)
	counter := &dto.Counter{Value: new(10 * k)}
	counter.CreatedTimestamp = timeOf(s.start)
	counter.Exemplar = exemplarOf(s, k, -500)
	families := []*dto.MetricFamily{
		family("pb_requests_total", dto.MetricType_COUNTER, &dto.Metric{Label: pairs("code", "200"), Counter: counter}),
		family("pb_temperature", dto.MetricType_GAUGE, &dto.Metric{Gauge: &dto.Gauge{Value: new(20 + k/10)}}),
		family("pb_unknown", dto.MetricType_UNTYPED, &dto.Metric{Untyped: &dto.Untyped{Value: new(-k)}}),
		family("pb.dotted", dto.MetricType_GAUGE, &dto.Metric{Label: pairs("a.b", "c"), Gauge: &dto.Gauge{Value: new(k)}}),
		family("stamped_pb", dto.MetricType_GAUGE, &dto.Metric{Gauge: &dto.Gauge{Value: new(k)}, TimestampMs: new(s.stamp(-500))}),
		family("pb_sizes", dto.MetricType_SUMMARY, &dto.Metric{Summary: &dto.Summary{
			SampleCount: new(uint64(s.K)), SampleSum: new(3 * k), CreatedTimestamp: timeOf(s.start),
			Quantile: []*dto.Quantile{{Quantile: new(0.5), Value: new(k)}, {Quantile: new(1.0), Value: new(2 * k)}},
		}}),
		family("pb_classic", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: &dto.Histogram{
			SampleCount: new(uint64(4 * s.K)), SampleSum: new(5 * k), Bucket: classicBuckets(s), CreatedTimestamp: timeOf(s.start),
		}}),
	}
	if within(s.K, 20, 22) {
		families = families[2:]
	}
	return families
}
