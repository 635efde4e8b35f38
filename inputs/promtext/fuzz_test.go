package promtext

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// checkAgainstPrometheus reads a text page with both parsers.
func checkAgainstPrometheus(t *testing.T, page []byte) {
	t.Helper()
	got, err := collect(page, Text, Options{})
	if bytes.IndexByte(page, 0) >= 0 {
		return // difference 1
	}
	want, wantErr := textOracle(withoutCR(page), "text/plain")
	if err != nil && wantErr == nil && breaksInQuotes(page) {
		return // difference 2
	}
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("error %v, Prometheus has %v, of page %.3000q", err, wantErr, page)
	}
	if err == nil {
		compareSamples(t, got, want)
	}
}

func TestRecordedTextPagesReadAsPrometheusReadsThem(t *testing.T) {
	pages, err := filepath.Glob("testdata/*.txt.gz")
	if err != nil || len(pages) == 0 {
		t.Fatal("no pages", err)
	}
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			text := readPage(t, filepath.Base(page))
			checkAgainstPrometheus(t, text)
			checkAgainstPrometheus(t, bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")))
		})
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "up 1", "up 1\r\nup{a=\"b\"} 2 3\r\n", " \tup\t{ a = \"b\" , } +Inf 12 \n",
		"# HELP up Is it\\n \\\\ up?\n# TYPE up gauge\nup NaN\n", "{\"a b\",\"c d\"=\"e\\\"f\\\\g\\nh\"} 1e-5\n",
		"# TYPE x histogram\nx_bucket{le=\"1\"} 1\nx_bucket{le=\"+Inf\"} 2\nx_sum 0.1\nx_count 2\n",
		"a{b=\"c\"d=\"e\"}.5\n", "a-5 1\n", "#\n# \n# HELP\n# HELP \n", "# TYPE x  counter\n", "# TYPE x counter \n",
		"# HELP x\t\n", "# HELP \"x\\\"\" y\nz{a=\"\n\"} 1\n", "a 1\n\x00b 2\n", "a{a=\"\xff\"} 1\n", "a 0x1p3\n", "a 1_0\n",
	} {
		f.Add([]byte(seed))
	}
	for _, page := range []string{"kube-proxy.txt.gz", "kubelet-cadvisor.txt.gz", "etcd.txt.gz"} {
		text := readPage(f, page)
		for len(text) > 0 { // pieces of some lines: whole pages make the fuzzer slow
			n := min(len(text), 600)
			f.Add(text[:n])
			text = text[min(len(text), 8000):]
		}
	}
	f.Fuzz(checkAgainstPrometheus)
}

// checkOpenMetrics reads an OpenMetrics page with both parsers.
func checkOpenMetrics(t *testing.T, page []byte) {
	t.Helper()
	got, err := collect(page, OpenMetrics, Options{})
	if bytes.IndexByte(page, 0) >= 0 {
		return // difference 1
	}
	want, wantErr := textOracle(page, "application/openmetrics-text")
	if err != nil && wantErr == nil && (breaksInQuotes(page) || hugeTime(err)) {
		return // differences 2 and 8
	}
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("error %v, Prometheus has %v, of page %.3000q", err, wantErr, page)
	}
	if err == nil {
		unescapeExemplars(want)
		dropFaultyExemplars(want)
		compareSamples(t, got, want)
	}
}

func FuzzOpenMetrics(f *testing.F) {
	for _, seed := range []string{
		"# EOF", "# EOF\n", "up 1\n# EOF\n", "# EOF\nup 1\n", "up 1\n", "# a\n# EOF\n", "\n# EOF\n",
		"# HELP a_total x \\\" \\n\n# TYPE a counter\n# UNIT a_seconds seconds\na_total{b=\"c\",d=\"e\"} 1 1.5 # {trace_id=\"f\"} 2 3.25\na_created{b=\"c\"} 12\n# EOF\n",
		"# TYPE x gaugehistogram\nx_bucket{le=\"1\"} 1 # {} 0.5\nx_gsum 1\n# TYPE y info\ny_info{a=\"b\"} 1\n# TYPE z stateset\nz{z=\"on\"} 1\n# TYPE w unknown\nw NaN\n# EOF\n",
		"{\"a b\",\"c d\"=\"e\"} 1 1e300\n# EOF\n", "a 1 # {\"x y\"=\"\\\"z\"} 1\n# EOF\n", "a 1 1 # {b=\"c\",b=\"d\"} 1\n# EOF\n",
		"a  1\n# EOF\n", "a 1 \n# EOF\n", "a\t1\n# EOF\n", "a 1\r\n# EOF\n", "# HELP a\n# EOF\n", "# HELP a \n# EOF\n", "# TYPE a summary\na{quantile=\"0.5\",} 1\n# EOF\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(checkOpenMetrics)
}

// checkProto reads a protobuf page with both parsers.
func checkProto(t *testing.T, page []byte) {
	t.Helper()
	if mixesForms(page) {
		return // difference 14
	}
	for _, classicToo := range []bool{false, true} {
		got, err := collect(page, Protobuf, Options{ClassicToo: classicToo})
		want, wantErr := protoOracle(page, classicToo)
		if err != nil && wantErr == nil && oddWire(err) {
			return // difference 13
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, Prometheus has %v, of page %.3000q", err, wantErr, page)
		}
		if err == nil {
			dropFaultyExemplars(want)
			compareSamples(t, got, want)
		}
	}
}

func FuzzProto(f *testing.F) {
	for page := strange(f); len(page) > 0; { // each message by itself
		length, width := varint(page)
		f.Add(page[:width+int(length)])
		page = page[width+int(length):]
	}
	soup := protoSoup{Rand: rand.New(rand.NewPCG(9, 10))}
	for range 100 {
		f.Add(soup.page(f))
	}
	f.Fuzz(checkProto)
}
