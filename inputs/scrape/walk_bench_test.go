package scrape

import (
	"compress/gzip"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kinglet/conf/httpclient"
)

// recorded is a page of a real cluster, kept with the parser's tests.
func recorded(tb testing.TB, name string) string {
	tb.Helper()
	return recordedFile(tb, name+".txt.gz")
}

func recordedFile(tb testing.TB, name string) string {
	tb.Helper()
	file, err := os.Open(filepath.Join("..", "promtext", "testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := io.ReadAll(unzipped)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// BenchmarkSteadyWalk reads two pages of one target, recorded 15 s apart, by
// turns: what a scrape costs between the socket and the rows.
func BenchmarkSteadyWalk(b *testing.B) {
	for _, name := range []string{"kube-proxy", "kubelet-cadvisor", "kubelet"} {
		b.Run(name, func(b *testing.B) {
			pages := [][]byte{[]byte(recorded(b, name)), []byte(recorded(b, name+".15s"))}
			benchmarkWalk(b, pages, false)
		})
	}
	big := []byte(recorded(b, "pods-80.kubelet-cadvisor"))
	b.Run("pods-80.kubelet-cadvisor", func(b *testing.B) { benchmarkWalk(b, [][]byte{big, big}, false) })
	b.Run("pods-80.kubelet-cadvisor,honor_timestamps", func(b *testing.B) { benchmarkWalk(b, [][]byte{big, big}, true) })
}

func benchmarkWalk(b *testing.B, pages [][]byte, honor bool) {
	cfg := testPage(1000)
	cfg.HonorTimestamps = honor
	l := newLayout(cfg, nil)
	for _, page := range pages { // both have the same lines but for a few: settle
		if _, _, err := read(l, string(page), 0, len(page)); err != nil {
			b.Fatal(err)
		}
	}
	samples, bytes, made, turn := 0, 0, 0, 0
	b.ReportAllocs()
	for b.Loop() {
		page := pages[turn%len(pages)]
		turn++
		w := l.begin(int64(turn))
		rest, err := w.feed(page)
		if err == nil {
			err = w.finish(rest)
		}
		if err != nil {
			b.Fatal(err)
		}
		w.commit()
		samples += w.scraped
		made += w.shapesMade
		bytes += len(page)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(samples), "ns/sample")
	b.ReportMetric(float64(bytes)/float64(samples), "B/sample")
	b.ReportMetric(float64(made)/float64(b.N), "shapes/op")
}

// BenchmarkFirstWalk is the first scrape of a target: every series is parsed,
// labelled and put into a shape.
func BenchmarkFirstWalk(b *testing.B) {
	page := recorded(b, "kube-proxy")
	samples := 0
	b.ReportAllocs()
	for b.Loop() {
		_, w, err := read(newLayout(testPage(1000), nil), page, 0, len(page))
		if err != nil {
			b.Fatal(err)
		}
		samples += w.scraped
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(samples), "ns/sample")
}

func TestASteadyWalkAllocatesPerRowNotPerSample(t *testing.T) {
	page := recorded(t, "pods-80.kubelet-cadvisor")
	cfg := testPage(1000)
	cfg.HonorTimestamps = false
	l := newLayout(cfg, nil)
	if _, _, err := read(l, page, 0, len(page)); err != nil {
		t.Fatal(err)
	}
	bytes, samples := []byte(page), 0
	allocs := testing.AllocsPerRun(5, func() {
		w := l.begin(1)
		rest, err := w.feed(bytes)
		if err != nil || w.finish(rest) != nil {
			t.Fatal("the page is bad")
		}
		w.commit()
		samples = w.scraped
	})
	// The walk, its values, and a row for each part.
	if limit := float64(len(l.parts) + 8); allocs > limit || samples < 10_000 {
		t.Errorf("%v allocations for %d samples in %d rows, want at most %v", allocs, samples, len(l.parts), limit)
	}
}

func TestASteadyPageMakesNoShape(t *testing.T) {
	first, later := recorded(t, "kubelet-cadvisor"), recorded(t, "kubelet-cadvisor.15s")
	l := newLayout(testPage(1000), nil)
	for round, page := range []string{first, first, strings.Clone(first), later, later} {
		_, w, err := read(l, page, int64(round), 4096)
		if err != nil {
			t.Fatal(err)
		}
		if same := round == 1 || round == 2 || round == 4; same && (w.shapesMade > 0 || w.next != nil || w.lines.ready()) {
			t.Errorf("round %d made %d shapes", round, w.shapesMade)
		}
	}
}

// BenchmarkScrape is a whole scrape over loopback, the server's side included.
func BenchmarkScrape(b *testing.B) {
	page := recorded(b, "pods-80.kubelet-cadvisor")
	server := httptest.NewServer(text(page))
	defer server.Close()
	client, err := httpclient.New(httpclient.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	cfg := testPage(1000)
	cfg.HonorTimestamps = false
	pager, err := newPager(&Target{URL: server.URL, Client: client, Timeout: time.Minute}, newScratch())
	if err != nil {
		b.Fatal(err)
	}
	l, samples := newLayout(cfg, nil), 0
	b.ReportAllocs()
	for b.Loop() {
		w := l.begin(0)
		if _, err := pager.fetch(b.Context(), w); err != nil {
			b.Fatal(err)
		}
		w.commit()
		samples += w.scraped
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(samples), "ns/sample")
}
