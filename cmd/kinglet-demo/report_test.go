package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/prompb"
)

func TestReportSaysWhatIsInTheDatabase(t *testing.T) {
	s, server := newAPI(t)
	start := time.Now()
	w := &world{database: server.URL, agent: "127.0.0.1:1", targets: []target{
		{job: "kube-proxy", url: "http://127.0.0.1:2/metrics"},
		{job: "kubelet", url: "http://127.0.0.1:3/metrics"},
		{job: "cadvisor", url: "http://127.0.0.1:3/metrics/cadvisor"},
	}}
	r := &reporter{store: s, world: w, interval: time.Second, start: start, first: start.Add(1500 * time.Millisecond)}
	now := start.Add(5 * time.Second)
	one := func(v float64, pairs ...string) prompb.TimeSeries {
		return series([]prompb.Sample{{Value: v, Timestamp: now.UnixMilli()}}, pairs...)
	}
	body := encode(t,
		one(822, "__name__", "scrape_samples_scraped", "job", "kube-proxy"),
		one(0.0025, "__name__", "scrape_duration_seconds", "job", "kube-proxy"),
		one(1, "__name__", "up", "job", "kube-proxy"),
		one(0, "__name__", "up", "job", "kubelet"),
	)
	if status, text := post(t, server, body, protobufType, "snappy"); status/100 != 2 {
		t.Fatalf("write answered %d: %s", status, text)
	}
	var out bytes.Buffer
	(&screen{out: &out}).Block(r.full(t.Context(), now))
	for _, want := range []string{
		"up 5s; the first sample was stored after 1.5 s",
		"kube-proxy  http://127.0.0.1:2/metrics                    822 series    2.5 ms  up",
		"kubelet     http://127.0.0.1:3/metrics                 down",
		"http://127.0.0.1:3/metrics/cadvisor        not scraped yet",
		"4 samples in 1 requests",
		"targets up, by job                             kube-proxy 1, kubelet 0",
		"curl -s '" + server.URL + "/api/v1/query?query=sum+by",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, out.String())
		}
	}
}

func TestExamplesAreGoodQueries(t *testing.T) {
	s, _ := newAPI(t)
	for _, e := range examples {
		if _, err := s.instant(t.Context(), e.query, time.Now()); err != nil {
			t.Errorf("%s: %v", e.query, err)
		}
	}
}

func TestNumbersReadWell(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(-1234567), "-1,234,567"},
		{plain(12), "12"}, {plain(0.123456), "0.1235"},
		{seconds(2.5), "2.5 s"}, {seconds(0.0025), "2.5 ms"}, {seconds(0.0000025), "2.5 µs"}, {seconds(0), "0 s"},
		{bytesIEC(512), "512 B"}, {bytesIEC(20 << 20), "20 MiB"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestTerminalIsGivenBack(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out, live: true}
	s.Redraw([]line{{good, "first"}})
	s.Redraw([]line{{"", "second"}})
	s.Leave()
	s.Leave()
	if got := out.String(); strings.Count(got, "\x1b[?1049h") != 1 || strings.Count(got, "\x1b[?1049l") != 1 || !strings.Contains(got, "\x1b[32mfirst\x1b[0m") {
		t.Errorf("drew %q", got)
	}
	if newScreen(&out, os.Getenv).live {
		t.Error("a buffer is taken for a terminal")
	}
}

func TestFlagsAreChecked(t *testing.T) {
	for _, args := range [][]string{{"-interval", "1ms"}, {"-duration", "-1s"}, {"-port", "70000"}, {"more"}, {"-nosuch"}} {
		if _, err := parseFlags(args, io.Discard); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
	o, err := parseFlags([]string{"-port", "0"}, io.Discard)
	if err != nil || !o.fixed || o.interval != 5*time.Second {
		t.Errorf("got %+v, %v", o, err)
	}
}
