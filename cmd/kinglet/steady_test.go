package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kinglet/conf/httpclient"
	"kinglet/inputs/scrape"
	"kinglet/writer"
	"kinglet/writer/remotewrite"
)

// serve answers requests on loopback as fast as answer can, and allocates
// nothing while it does.
func serve(tb testing.TB, answer func(request int) []byte) (address string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var talks sync.WaitGroup
	talks.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			talks.Go(func() { talk(conn, answer) })
		}
	})
	tb.Cleanup(func() { l.Close(); talks.Wait() })
	return l.Addr().String()
}

func talk(conn net.Conn, answer func(request int) []byte) {
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 64<<10)
	for request := 0; ; request++ {
		for length := 0; ; {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return
			}
			if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				length = 0
				for _, digit := range bytes.TrimSpace(value) {
					length = length*10 + int(digit-'0')
				}
			}
			if len(line) == 2 {
				if _, err := r.Discard(length); err != nil {
					return
				}
				break
			}
		}
		if _, err := conn.Write(answer(request)); err != nil {
			return
		}
	}
}

// steady is the way from a page of some series to some endpoints.
type steady struct {
	manager  *scrape.Manager
	pipeline *writer.Pipeline
	stop     func()
}

// still is two pages of the same series, of which half move.
func still(series int) [][]byte {
	pages := make([][]byte, 2)
	for i := range pages {
		var text strings.Builder
		for n := range series {
			fmt.Fprintf(&text, "node_something_seconds_total{device=\"sda%d\",mode=\"read\",namespace=\"default\"} %d\n", n, (n+i*(n%2))%1000+1000)
		}
		pages[i] = answer(text.String())
	}
	return pages
}

func answer(page string) []byte {
	return []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + strconv.Itoa(len(page)) + "\r\n\r\n" + page)
}

// churning is a row of pages of containers with five series each, of which half
// move. So many in a thousand containers are replaced from each page to the next.
func churning(series, pages, perMille int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	names := make([]string, series/5)
	replace := func(i int) {
		names[i] = fmt.Sprintf("container=\"app\",id=\"/kubepods/burstable/pod%016x/%016x%016x\",namespace=\"shop\",pod=\"web-%08x-%05x\"",
			r.Uint64(), r.Uint64(), r.Uint64(), r.Uint32(), r.Uint32()>>12)
	}
	for i := range names {
		replace(i)
	}
	families := []string{"container_cpu_usage_seconds_total", "container_memory_rss", "container_memory_cache", "container_tasks_state", "container_start_time_seconds"}
	out := make([][]byte, pages)
	due := 0
	for n := range out {
		for due += len(names) * perMille; due >= 1000; due -= 1000 {
			replace(r.IntN(len(names)))
		}
		var text strings.Builder
		for f, family := range families {
			fmt.Fprintf(&text, "# HELP %s What it says.\n# TYPE %[1]s gauge\n", family)
			for i, name := range names {
				value := 1000 + i
				if f%2 == 0 {
					value += n * 17
				}
				fmt.Fprintf(&text, "%s{%s} %d\n", family, name, value)
			}
		}
		out[n] = answer(text.String())
	}
	return out
}

func newSteady(tb testing.TB, pages [][]byte, writers int) *steady {
	tb.Helper()
	var scrapes atomic.Int64
	target := serve(tb, func(int) []byte { return pages[int(scrapes.Add(1)-1)%len(pages)] })
	taken := []byte("HTTP/1.1 204 No Content\r\n\r\n")
	endpoint := serve(tb, func(int) []byte { return taken })

	log := slog.New(slog.DiscardHandler)
	client, err := httpclient.New(httpclient.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	manager, err := scrape.NewManager("prometheus", log, prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	manager.Update([]scrape.Target{{
		Key: "a", URL: "http://" + target + "/metrics", Client: client, Interval: time.Minute, Timeout: 30 * time.Second,
		Page: scrape.PageConfig{Labels: scrape.NewLabeler(scrape.LabelConfig{Target: nil})}, ScrapeMeta: true, UserAgent: "kinglet/test",
	}})
	endpoints := make([]remotewrite.Config, writers)
	for i := range endpoints {
		endpoints[i] = remotewrite.DefaultConfig()
		endpoints[i].URL = "http://" + endpoint + "/api/v1/write"
	}
	cfg := writer.DefaultConfig()
	cfg.Linger.Duration = 0
	pipeline, err := writer.New(cfg, endpoints, log, prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = pipeline.Run(ctx) }) // it has no error to tell
	s := &steady{manager: manager, pipeline: pipeline, stop: sync.OnceFunc(func() { cancel(); running.Wait() })}
	tb.Cleanup(s.stop)
	return s
}

// scrapes does n scrapes and waits until all endpoints have taken them.
func (s *steady) scrapes(tb testing.TB, n int) {
	tb.Helper()
	for range n {
		if down, err := s.manager.Once(tb.Context(), s.pipeline); down > 0 || err != nil {
			tb.Fatalf("%d targets are down, %v", down, err)
		}
	}
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-poll.C {
		waiting := 0
		for _, e := range s.pipeline.Endpoints() {
			waiting += e.Queue.Blocks
		}
		if waiting == 0 {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%d blocks still wait", waiting)
		}
	}
}

// cost is what one scrape allocates on the whole way, in objects and bytes, once
// stencils have settled.
func cost(t *testing.T, series, writers int) (objects, size float64) {
	t.Helper()
	s := newSteady(t, still(series), writers)
	defer s.stop()
	s.scrapes(t, 30)
	const n = 30
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s.scrapes(t, n)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / n, float64(after.TotalAlloc-before.TotalAlloc) / n
}

// Nothing is allocated per sample: what a scrape allocates is of the scrape, of
// its connection, and of its rows of 1,000 series each. The bytes that grow with
// the page are its values, 8 for each; under the race detector, which makes pools
// forget, blocks are among them.
func TestTheSteadyStateAllocatesNothingPerSample(t *testing.T) {
	small, smallBytes := cost(t, 1_000, 1)
	large, largeBytes := cost(t, 21_000, 1)
	each, eachBytes := (large-small)/20_000, (largeBytes-smallBytes)/20_000
	t.Logf("1,000 series: %.0f objects, %.0f bytes a scrape; 20,000 more: %.4f objects, %.1f bytes a sample", small, smallBytes, each, eachBytes)
	if small > 600 {
		t.Errorf("%.0f objects for a scrape of 1,000 series", small)
	}
	if each > 0.01 || eachBytes > 64 {
		t.Errorf("%.4f objects and %.1f bytes for each sample more", each, eachBytes)
	}
}

// A second and third writer that is sent the same costs its requests alone.
func TestMoreWritersOfTheSameShareTheBlocks(t *testing.T) {
	one, oneBytes := cost(t, 20_000, 1)
	three, threeBytes := cost(t, 20_000, 3)
	t.Logf("one writer: %.0f objects, %.0f bytes a scrape; three: %.0f, %.0f", one, oneBytes, three, threeBytes)
	if more := (three - one) / 2 / 20_000; more > 0.05 {
		t.Errorf("a writer more takes %.4f objects a sample", more)
	}
	if more := (threeBytes - oneBytes) / 2 / 20_000; more > 40 {
		t.Errorf("a writer more takes %.1f bytes a sample, about as much as a block", more)
	}
}

// BenchmarkSteadyState is a scrape on the whole way, over loopback, with both
// ends of it in this process.
func BenchmarkSteadyState(b *testing.B) {
	for _, series := range []int{500, 20_000} {
		for _, writers := range []int{1, 3} {
			b.Run(fmt.Sprintf("%d series, %d writers", series, writers), func(b *testing.B) {
				s := newSteady(b, still(series), writers)
				s.scrapes(b, 30)
				b.ReportAllocs()
				b.ResetTimer()
				for b.Loop() {
					s.scrapes(b, 1)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(series), "ns/sample")
			})
		}
	}
}

// BenchmarkChurn is BenchmarkSteadyState with 0, and with 8 in a thousand series
// replaced from each scrape to the next: 10 % a minute, scraped every 5 s.
func BenchmarkChurn(b *testing.B) {
	const warm, measured = 40, 40
	for _, series := range []int{500, 5_000} {
		for _, perMille := range []int{0, 8} {
			b.Run(fmt.Sprintf("%d series, %d replaced in 1000", series, perMille), func(b *testing.B) {
				pages := churning(series, warm+measured, perMille)
				b.ReportAllocs()
				for b.Loop() {
					b.StopTimer()
					s := newSteady(b, pages, 1)
					s.scrapes(b, warm)
					b.StartTimer()
					s.scrapes(b, measured)
					b.StopTimer()
					s.stop()
					b.StartTimer()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(measured*series), "ns/sample")
			})
		}
	}
}
