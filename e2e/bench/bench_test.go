package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	"go.uber.org/goleak"
)

// agentEnv makes the test binary an agent of kind kinglet.
const agentEnv = "KINGLET_BENCH_TEST_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(agentEnv) != "" {
		if err := playAgent(os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { os.Exit(code) }))
}

// playAgent is the simplest agent there can be: it scrapes each target, pushes
// what it read until that is taken, and begins again.
func playAgent(dir string) error {
	var config struct {
		Writers []struct{ URL string }
	}
	var input struct {
		Instances []struct {
			URLs   []string
			Labels map[string]string
		}
	}
	if _, err := toml.DecodeFile(filepath.Join(dir, "config.toml"), &config); err != nil {
		return err
	}
	if _, err := toml.DecodeFile(filepath.Join(dir, "input.prometheus", "prometheus.toml"), &input); err != nil {
		return err
	}
	for last := int64(0); ; {
		for _, url := range input.Instances[0].URLs {
			last = max(time.Now().UnixMilli(), last+1)
			body, err := scrape(url, last)
			if err != nil {
				continue // frozen
			}
			for status := 0; status != http.StatusNoContent; {
				if status, err = post(config.Writers[0].URL, body); err != nil {
					status = 0
				}
			}
		}
	}
}

// scrape makes a request of the page at url.
func scrape(url string, timestampMs int64) ([]byte, error) {
	response, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var request prompb.WriteRequest
	for series, value := range seriesOf(string(text)) {
		name, rest, _ := strings.Cut(series, "{")
		request.Timeseries = append(request.Timeseries, prompb.TimeSeries{
			Labels: []prompb.Label{
				{Name: "__name__", Value: name}, {Name: targetLabel, Value: strings.Trim(strings.TrimPrefix(rest, targetLabel), `="}`)},
				{Name: "instance", Value: url}, {Name: "rest", Value: rest},
			},
			Samples: []prompb.Sample{{Value: value, Timestamp: timestampMs}},
		})
	}
	message, err := request.Marshal()
	return snappy.Encode(nil, message), err
}

// seriesOf is the series of a page with their values.
func seriesOf(page string) map[string]float64 {
	all := map[string]float64{}
	for line := range strings.Lines(page) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			value, err := strconv.ParseFloat(strings.TrimSpace(line[i:]), 64)
			if err != nil {
				value = math.Inf(-1)
			}
			all[line[:i]] = value
		}
	}
	return all
}

func post(url string, body []byte) (status int, err error) {
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Encoding", "snappy")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// needProc skips a test where there is no /proc to read.
func needProc(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("CPU time and memory are read from /proc")
	}
}

func TestRunAccountsForEverySampleOfAPerfectAgent(t *testing.T) {
	needProc(t)
	t.Setenv(agentEnv, "1")
	a := agent{Name: "perfect", Kind: "kinglet", Binary: os.Args[0]}
	const broken = "while the endpoint is down"
	base := scenario{
		Groups: []group{{2, 60, "app"}, {1, 100, "cadvisor"}}, Interval: time.Second,
		Warm: 50 * time.Millisecond, Measure: 200 * time.Millisecond, Drain: time.Minute,
	}
	for _, tt := range []struct {
		name string
		edit func(*scenario)
	}{
		{"in peace", func(*scenario) {}},
		{"a cold start", func(s *scenario) { s.Cold = 2 }},
		{"while requests are refused", func(s *scenario) {
			s.Faults = []fault{{At: 0, For: 100 * time.Millisecond, Codes: []int{429, 500}}}
		}},
		{broken, func(s *scenario) { s.Faults = []fault{{At: 0, For: 100 * time.Millisecond}} }},
		{"with a port for each target, series replaced, no gzip", func(s *scenario) { s.Ports, s.Plain, s.Churn = true, true, 50 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := base
			tt.edit(&s)
			got, err := runner{work: t.TempDir()}.run(t.Context(), a, s)
			if err != nil {
				t.Fatal(err)
			}
			if tt.name == broken { // what was taken is sent again if its answer was broken off
				got.Duplicates = 0
			}
			if got.Lost != 0 || got.Duplicates != 0 || got.Late != 0 || got.Series != 220 || got.RSSPeak == 0 || len(got.FirstMs) != s.Cold {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestRunStartsAKilledAgentAgain(t *testing.T) {
	needProc(t)
	t.Setenv(agentEnv, "1")
	s := scenario{
		Groups: []group{{1, 60, "app"}}, Interval: time.Second, Measure: 200 * time.Millisecond,
		Kill: 50 * time.Millisecond, Restart: 100 * time.Millisecond,
	}
	if got, err := (runner{work: t.TempDir()}).run(t.Context(), agent{Name: "killed", Kind: "kinglet", Binary: os.Args[0]}, s); err != nil {
		t.Errorf("got %+v: %v", got, err)
	}
}

func TestRunShowsWhyAnAgentEnded(t *testing.T) {
	needProc(t)
	t.Setenv(agentEnv, "1")
	a := agent{Name: "ends", Kind: "kinglet", Binary: os.Args[0], Args: []string{"no-such-folder"}} // the fake reads its last argument
	_, err := runner{work: t.TempDir()}.run(t.Context(), a, scenario{Groups: []group{{1, 60, "app"}}, Interval: time.Second, Cold: 1})
	if err == nil || !strings.Contains(err.Error(), "ended by itself") || !strings.Contains(err.Error(), "no-such-folder") {
		t.Errorf("got %v", err)
	}
}

func TestReadCPUAndMemorySeeThisProcess(t *testing.T) {
	needProc(t)
	before, err := readCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var after cpuTime
	for x := 0.0; after.total <= before.total; x++ { // ends when CPU time moves
		if after, err = readCPU(os.Getpid()); err != nil || math.IsInf(x, 0) {
			t.Fatal(err)
		}
	}
	m, err := readMemory(os.Getpid())
	if err != nil || m.rss < 1<<20 || m.peak < m.rss/2 {
		t.Errorf("got %+v, %v", m, err)
	}
	if _, err := readCPU(-1); err == nil {
		t.Error("a process that does not exist has CPU time")
	}
}

func TestPagesHaveTheSeriesAskedForOnceEach(t *testing.T) {
	recorded := filepath.Join("..", "..", "inputs", "promtext", "testdata", "kube-proxy.txt.gz")
	for _, tt := range []struct {
		group group
		want  int
	}{
		{group{1, 100, "app"}, 100},
		{group{1, 500, "app"}, 500},
		{group{1, 5000, "app"}, 5000},
		{group{1, 3000, "cadvisor"}, 3000},
		{group{1, 0, filePrefix + recorded}, 823}, // its 822 and the count of scrapes
	} {
		t.Run(fmt.Sprint(tt.group.Series, " ", filepath.Base(tt.group.Shape)), func(t *testing.T) {
			p, again := mustPage(t, tt.group), mustPage(t, tt.group)
			before := seriesOf(string(p.render(nil)))
			if len(before) != tt.want || p.series != tt.want {
				t.Fatalf("%d different series, %d counted, want %d", len(before), p.series, tt.want)
			}
			p.evolve(0)
			again.evolve(0)
			text := p.render(nil)
			if !bytes.Equal(text, again.render(nil)) {
				t.Error("the page of one target is not the same twice")
			}
			moved := 0
			after := seriesOf(string(text))
			for series, value := range before {
				if after[series] != value {
					moved++
				}
			}
			if len(after) != tt.want || moved < tt.want/20 || moved > tt.want*3/4 {
				t.Errorf("%d of %d values moved", moved, len(after))
			}
		})
	}
}

func TestChurnReplacesTheFractionAskedFor(t *testing.T) {
	p := mustPage(t, group{1, 5000, "app"})
	before := seriesOf(string(p.render(nil)))
	p.evolve(0.1)
	gone := len(before)
	for series := range seriesOf(string(p.render(nil))) {
		if _, ok := before[series]; ok {
			gone--
		}
	}
	if gone < 300 || gone > 600 {
		t.Errorf("%d of 5000 series replaced, want about 500", gone)
	}
}

func TestAnAgedPageStaysAsLargeAsItIs(t *testing.T) {
	for _, shape := range []string{"app", "cadvisor"} {
		p := mustPage(t, group{1, 5000, shape})
		young := seriesOf(string(p.render(nil)))
		p.replaceAll()
		aged := p.render(nil)
		kept := 0
		for series := range seriesOf(string(aged)) {
			if _, ok := young[series]; ok {
				kept++
			}
		}
		if kept != 1 { // the one that counts scrapes
			t.Errorf("%s: %d of 5000 series are as before", shape, kept)
		}
		for range 20 {
			p.evolve(0.1)
		}
		if before, after := len(aged), len(p.render(nil)); after < before*97/100 || after > before*103/100 {
			t.Errorf("%s: with churn a page of %d bytes became one of %d", shape, before, after)
		}
	}
}

func TestRecordedPagesLoseOnlyTheirTimestamps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page")
	page := "# TYPE a_total counter\na_total{x=\"y } z\"} 5\ng 1.5 1700000000000\nnan NaN\n"
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	got := string(mustPage(t, group{1, 0, filePrefix + path}).render(nil))
	for _, want := range []string{"# TYPE a_total counter\na_total{x=\"y } z\"} 5\n", "g 1.5\n", "nan NaN\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
	if err := os.WriteFile(path, []byte("a one\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := newPage(0, group{1, 0, filePrefix + path}); err == nil {
		t.Error("a line without a number was taken")
	}
}

func mustPage(t *testing.T, g group) *page {
	t.Helper()
	p, err := newPage(3, g)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWordsBecomeAgentsAndGroups(t *testing.T) {
	agents, err := parseAgents([]string{"a=kinglet:/bin/a", "b=vmagent:/bin/b", "-x", "-y=1"})
	if err != nil || len(agents) != 2 || agents[1].Binary != "/bin/b" || !slices.Equal(agents[1].Args, []string{"-x", "-y=1"}) {
		t.Errorf("got %+v, %v", agents, err)
	}
	for _, bad := range [][]string{nil, {"a"}, {"a=kinglet:"}, {"a=telegraf:/bin/t"}, {"-x"}} {
		if _, err := parseAgents(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	groups, err := parseGroups("60x500,2x300:cadvisor,1:file:a/b.gz")
	if want := []group{{60, 500, "app"}, {2, 300, "cadvisor"}, {1, 0, "file:a/b.gz"}}; err != nil || !slices.Equal(groups, want) {
		t.Errorf("got %+v, %v", groups, err)
	}
	for _, bad := range []string{"", "x", "0x5", "5", "5x0:app"} {
		if _, err := parseGroups(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if _, err := chooseScenarios(scenarios("", time.Second), "real,S1,S8"); err == nil {
		t.Error("S8 was taken")
	}
}
