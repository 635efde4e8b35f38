package scrape

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kinglet"
	"kinglet/conf/httpclient"
	"kinglet/inputs/promtext"
)

// collector keeps what is pushed, push by push.
type collector struct {
	mu     sync.Mutex
	pushes [][]*kinglet.Row
}

func (c *collector) Push(_ context.Context, rows ...*kinglet.Row) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pushes = append(c.pushes, rows)
	return nil
}

// take returns what was pushed since the last call.
func (c *collector) take() [][]*kinglet.Row {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.pushes
	c.pushes = nil
	return taken
}

func newManager(t *testing.T) *Manager {
	t.Helper()
	m, err := NewManager("test", slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func httpTarget(t *testing.T, url string, cfg httpclient.Config) Target {
	t.Helper()
	client, err := httpclient.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return Target{
		Key: url, URL: url, Client: client, Page: testPage(1000),
		Interval: 15 * time.Second, Timeout: 5 * time.Second, UserAgent: "kinglet/test", BodySizeLimit: 1 << 20,
	}
}

// scrapeOnce scrapes a target one time and returns the samples, without their
// timestamps, and the target's state.
func scrapeOnce(t *testing.T, target Target) (lines []string, message string) {
	t.Helper()
	m, out := newManager(t), &collector{}
	m.Update([]Target{target})
	if _, err := m.Once(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	for _, rows := range out.take() {
		for _, line := range rowLines(t, rows) {
			lines = append(lines, line[:strings.LastIndex(line, " @")])
		}
	}
	return lines, m.Targets()[0].Error
}

func TestGoodAnswers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		serve http.HandlerFunc
		want  []string
	}{
		{"a page", text("m 1\n"), []string{`{__name__="m",instance="i"} 1`}},
		{"a page without its last line feed", text("m 1"), []string{`{__name__="m",instance="i"} 1`}},
		{"CRLF", text("m 1\r\nn 2\r\n"), []string{`{__name__="m",instance="i"} 1`, `{__name__="n",instance="i"} 2`}},
		{"an empty page of no type", func(w http.ResponseWriter, _ *http.Request) { w.Header()["Content-Type"] = nil }, nil},
		{"gzip, though not asked for", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", "text/plain")
			zip := gzip.NewWriter(w)
			io.WriteString(zip, "m 1\n")
			zip.Close()
		}, []string{`{__name__="m",instance="i"} 1`}},
		{"a long page, gzipped", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", "text/plain")
			zip := gzip.NewWriter(w)
			for i := range 60_000 { // unzips to several windows
				fmt.Fprintf(zip, "# %d\n", i*i)
			}
			io.WriteString(zip, "m 1\n")
			zip.Close()
		}, []string{`{__name__="m",instance="i"} 1`}},
		{"OpenMetrics", typed("application/openmetrics-text; version=1.0.0", "# TYPE m counter\nm_total 1 2.5\n# EOF\n"),
			[]string{`{__name__="m_total",instance="i"} 1`}},
		{"a line longer than the window", text("m{a=\"" + strings.Repeat("x", 200_000) + "\"} 1\nn 2\n"),
			[]string{`{__name__="m",a="` + strings.Repeat("x", 200_000) + `",instance="i"} 1`, `{__name__="n",instance="i"} 2`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.serve)
			defer server.Close()
			got, message := scrapeOnce(t, httpTarget(t, server.URL, httpclient.Config{}))
			want := append([]string{`{__name__="up",instance="i"} 1`}, tt.want...)
			if message != "" || !sameLines(got, want) {
				t.Errorf("error %q, got %.300v, want %.300v", message, got, want)
			}
		})
	}
}

func TestBadAnswersGiveUpZeroAndSayWhy(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	for _, tt := range []struct {
		name  string
		serve http.HandlerFunc
		edit  func(*Target)
		want  string
	}{
		{"a bad line", text("m 1\nn one\no 3\n"), nil, `line 2: `},
		{"another status, with its body", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no\nmetrics "+strings.Repeat("x", 1<<20), http.StatusServiceUnavailable)
		}, nil, "status 503 Service Unavailable: no metrics xxx"},
		{"a status that does not exist", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(999) }, nil, "status 999"},
		{"a success that is no page", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, nil, "status 204"},
		{"another type", typed("text/html", "<html>"), nil, `Content-Type "text/html" is no format of metrics: want text/plain`},
		{"a type that cannot be read", typed("a/b/c", "m 1\n"), nil, `Content-Type "a/b/c" is no format of metrics`},
		{"another type, and no page of the fallback", typed("text/html", "<html>"), func(t *Target) { t.Fallback = promtext.PrometheusText0 },
			`line 1: want a metric name: "<html>" (Content-Type "text/html" is no format of metrics)`},
		{"a body shorter than it says", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, "m 1\n")
		}, nil, "the target closed the connection too early"},
		{"no answer", func(_ http.ResponseWriter, r *http.Request) { wait(r, stop) },
			func(t *Target) { t.Timeout = 50 * time.Millisecond }, "timeout after 50ms while waiting for the answer"},
		{"a body that stops", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, "m 1\n")
			w.(http.Flusher).Flush()
			wait(r, stop)
		}, func(t *Target) { t.Timeout = 50 * time.Millisecond }, "timeout after 50ms while reading the body"},
		{"an endless body", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			for i := 0; r.Context().Err() == nil; i++ {
				fmt.Fprintf(w, "m{a=\"%d\"} 1\n", i)
			}
		}, nil, "body_size_limit: the page has more than 1048576 bytes"},
		{"an endless line", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			for r.Context().Err() == nil {
				io.WriteString(w, strings.Repeat("x", 4096))
			}
		}, func(t *Target) { t.BodySizeLimit = 0 }, "line 1: the line is longer than 1048576 bytes"},
		{"a gzip bomb", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", "text/plain")
			zip := gzip.NewWriter(w)
			for range 64 {
				io.WriteString(zip, strings.Repeat("#\n", 1<<19))
			}
			zip.Close()
		}, nil, "body_size_limit: the page has more than 1048576 bytes"},
		{"gzip that is none", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, "m 1\n")
		}, nil, "gzip: "},
		{"too many samples", text("m 1\nm 1\nn 1\no 1\n"), func(t *Target) { t.Page.SampleLimit = 2 }, "sample_limit: 3 samples, want at most 2"},
		{"too many labels", text("m{a=\"1\"} 1\n"), func(t *Target) { t.Page.LabelLimit = 2 }, "label_limit: m has 3 labels, want at most 2"},
		{"a long label name", text("m{abcdefghi=\"1\"} 1\n"), func(t *Target) { t.Page.LabelNameLengthLimit = 8 },
			"label_name_length_limit: label abcdefghi has a name of 9 bytes, want at most 8"},
		{"a long label value", text("m{a=\"12345\"} 1\n"), func(t *Target) { t.Page.LabelValueLengthLimit = 4 },
			"label_value_length_limit: label a has a value of 5 bytes, want at most 4"},
		{"too many targets", text("m 1\n"), func(t *Target) { t.Refused = TargetLimit(3, 2) }, "target_limit: 3 targets, want at most 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.serve)
			defer server.Close()
			target := httpTarget(t, server.URL, httpclient.Config{})
			if tt.edit != nil {
				tt.edit(&target)
			}
			got, message := scrapeOnce(t, target)
			if !strings.Contains(message, tt.want) || len(message) > 600 {
				t.Errorf("the error is %q, want %q", message, tt.want)
			}
			if !sameLines(got, []string{`{__name__="up",instance="i"} 0`}) {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	server := httptest.NewServer(text(""))
	server.Close()
	_, message := scrapeOnce(t, httpTarget(t, server.URL+"/?token=secret", httpclient.Config{}))
	if !strings.Contains(message, "connection refused") || strings.Contains(message, "secret") {
		t.Errorf("the error is %q", message)
	}
}

func TestLenientSkipsBadLines(t *testing.T) {
	server := httptest.NewServer(text("m 1\nn one\no 3\nbad{\n"))
	defer server.Close()
	target := httpTarget(t, server.URL, httpclient.Config{})
	target.Page.Lenient = true
	got, message := scrapeOnce(t, target)
	want := []string{`{__name__="m",instance="i"} 1`, `{__name__="o",instance="i"} 3`, `{__name__="up",instance="i"} 1`}
	if message != "" || !sameLines(got, want) {
		t.Errorf("error %q, got %v", message, got)
	}
}

func TestThePagesOwnUpIsLeftOut(t *testing.T) {
	server := httptest.NewServer(text("up 7\nup{a=\"b\"} 8\nup 9\n"))
	defer server.Close()
	got, _ := scrapeOnce(t, httpTarget(t, server.URL, httpclient.Config{}))
	if want := []string{`{__name__="up",a="b",instance="i"} 8`, `{__name__="up",instance="i"} 1`}; !sameLines(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestAPageOfNoKnownTypeIsOneOfTheFallback(t *testing.T) { // RW-113, RW-114
	want := []string{`{__name__="m",instance="i"} 1`, `{__name__="up",instance="i"} 1`}
	up := want[1:]
	for _, tt := range []struct {
		name, contentType, page string
		fallback                promtext.Protocol
		want                    []string
	}{
		{"none", "", "m 1\n", promtext.PrometheusText0, want},
		{"unknown", "text/html", "m 1\n", promtext.PrometheusText1, want},
		{"unreadable", "text/plain;;;=", "m 1\n", promtext.PrometheusText0, want},
		{"another fallback", "application/json", "m 1\n# EOF\n", promtext.OpenMetricsText1, want},
		{"a known type does not fall back", "text/plain;version=9", "m 1\n", promtext.OpenMetricsText1, want},
		{"an empty page of no type", "", "", "", up},
		{"an empty page of another type", "text/html", "", promtext.OpenMetricsText1, up},
		{"an empty page of OpenMetrics", "application/openmetrics-text", "", "", up},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil // else the server guesses
				if tt.contentType != "" {
					w.Header().Set("Content-Type", tt.contentType)
				}
				io.WriteString(w, tt.page)
			}))
			defer server.Close()
			target := httpTarget(t, server.URL, httpclient.Config{})
			target.Fallback = tt.fallback
			if got, message := scrapeOnce(t, target); message != "" || !sameLines(got, tt.want) {
				t.Errorf("error %q, got %v, want %v", message, got, tt.want)
			}
		})
	}
}

func TestProtocolsAreAskedForInTheirOrder(t *testing.T) { // RW-105, RW-106
	target := Target{Protocols: []promtext.Protocol{promtext.PrometheusProto, promtext.OpenMetricsText1}}
	want := "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6," +
		"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.4"
	if got := target.accept(); got != want {
		t.Errorf("got %s", got)
	}
}

func TestExtraSeries(t *testing.T) { // RW-148
	page := "m 1\n" + strings.Repeat("n 1\n", 3)
	server := httptest.NewServer(text(page))
	defer server.Close()
	for _, tt := range []struct {
		name string
		edit func(*Target)
		size int
	}{
		{"a good page", func(*Target) {}, len(page)},
		{"a page over the size limit", func(t *Target) { t.BodySizeLimit = 5 }, -1},
		{"a page over the sample limit", func(t *Target) { t.Page.SampleLimit = 1 }, len(page)},
		{"no page", func(t *Target) { t.URL = "http://127.0.0.1:1" }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := httpTarget(t, server.URL, httpclient.Config{})
			target.ExtraMeta = true
			tt.edit(&target)
			got, _ := scrapeOnce(t, target)
			for _, want := range []string{
				fmt.Sprintf(`{__name__="scrape_body_size_bytes",instance="i"} %d`, tt.size),
				fmt.Sprintf(`{__name__="scrape_sample_limit",instance="i"} %d`, target.Page.SampleLimit),
				`{__name__="scrape_timeout_seconds",instance="i"} 5`,
			} {
				if !slices.Contains(got, want) {
					t.Errorf("got %v, want %s", got, want)
				}
			}
		})
	}
}

func TestWhatIsAskedFor(t *testing.T) {
	var got http.Header
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() }))
	defer server.Close()
	target := httpTarget(t, server.URL, httpclient.Config{BearerToken: "t"})
	target.Timeout = 500 * time.Millisecond
	scrapeOnce(t, target)
	for name, want := range map[string]string{
		"User-Agent":                          "kinglet/test",
		"X-Prometheus-Scrape-Timeout-Seconds": "0.5",
		"Accept-Encoding":                     "identity", // the target is on this node
		"Accept":                              "text/plain;version=0.0.4;q=0.6,*/*;q=0.5",
		"Authorization":                       "Bearer t",
	} {
		if got.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.Get(name), want)
		}
	}
	if sameNode("http://192.0.2.1/metrics") || !sameNode("http://[::1]:80/") || !sameNode("http://localhost/") {
		t.Error("this node is not told from others")
	}
}

func text(page string) http.HandlerFunc { return typed("text/plain; version=0.0.4", page) }

func typed(contentType, page string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, page)
	}
}

// wait ends with the request or the test.
func wait(r *http.Request, stop <-chan struct{}) {
	select {
	case <-r.Context().Done():
	case <-stop:
	}
}

// sameLines compares without order.
func sameLines(a, b []string) bool {
	count := map[string]int{}
	for _, line := range a {
		count[line]++
	}
	for _, line := range b {
		count[line]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// answerRaw sends bytes to everyone who connects and sends a request, and then
// waits for the other side if it is to, else closes the connection.
func answerRaw(t *testing.T, answer string, waits bool) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
					return
				}
				io.WriteString(conn, answer)
				if waits {
					io.Copy(io.Discard, conn)
				}
			})
		}
	})
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	return "http://" + listener.Addr().String() + "/metrics"
}

func TestAnswersThatAreNone(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		waits        bool
		want, reason string
	}{
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", true,
			"status 101 Switching Protocols: want an answer in HTTP; is this the right URL?", "status"},
		{"nothing", "", false, "the target closed the connection without an answer", "connection"},
	} {
		for _, cfg := range []httpclient.Config{{}, {BearerToken: "not for the lean client"}} {
			target := httpTarget(t, answerRaw(t, tt.answer, tt.waits), cfg)
			target.Timeout = time.Minute
			pager, err := newPager(&target, newScratch())
			if err != nil {
				t.Fatal(err)
			}
			_, err = pager.fetch(t.Context(), newLayout(target.Page, nil).begin(0))
			pager.close()
			if err == nil || err.Error() != tt.want || reasonOf(err) != tt.reason {
				t.Errorf("%s: %v (%s)", tt.name, err, reasonOf(err))
			}
		}
	}
}
