//go:build e2e

package nightingale

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"kinglet/e2e/harness"
	"kinglet/internal/tree"
)

// target serves pages whose series all have the number of the page as value.
type target struct {
	*httptest.Server
	served atomic.Int64
}

// targetSeries is how many series a page has.
const targetSeries = 40

func newTarget(t *testing.T) *target {
	t.Helper()
	x := &target{}
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := x.served.Add(1)
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, "# TYPE page counter\n")
		for i := range targetSeries {
			fmt.Fprintf(w, "page{i=\"%d\"} %d\n", i, n)
		}
	}))
	t.Cleanup(x.Close)
	return x
}

// kinglet is the agent under test, on a configuration.
type kinglet struct {
	*harness.Process
	dir string
}

// configuration of a kinglet that scrapes x every 200 ms and writes to n;
// writer and more are keys of [[writers]], and whole tables.
func configuration(n *simulator, writer, more string) string {
	return logged(n, "", writer, more)
}

// logged is configuration with more keys of [writer_opt].
func logged(n *simulator, writerOpt, writer, more string) string {
	return fmt.Sprintf(`
[global]
hostname = "$HOSTNAME"
interval = "200ms"
[log]
file_name = "stderr"
[serve]
listen = ""
[writer_opt]
linger = "20ms"
drain_timeout = "10s"
%s
[[writers]]
url = "%s/prometheus/v1/write"
max_backoff = "200ms"
%s
%s
`, writerOpt, n.URL, writer, more)
}

func startKinglet(t *testing.T, x *target, configuration string) *kinglet {
	t.Helper()
	k := &kinglet{dir: t.TempDir()}
	tree.Write(t, k.dir, map[string]string{
		"config.toml":                configuration,
		"input.prometheus/page.toml": fmt.Sprintf("[[instances]]\nurls = [%q]\nlabels = { job = \"page\" }\n", x.URL),
	})
	k.Process = harness.NewProcess(t, []string{"HOSTNAME=node-1"}, binary, "--configs", k.dir)
	k.Start(t)
	return k
}

// stop asks kinglet to end and wants exit code 0 in time.
func (k *kinglet) stop(t *testing.T) {
	t.Helper()
	k.Stop(t, 20*time.Second)
}

// pages are the numbers of the pages that are stored of one series, in the
// order in which they were stored; stale markers are left out.
func pages(samples []sample) (numbers []int64, ms []int64) {
	for _, s := range samples {
		if !math.IsNaN(s.value) {
			numbers, ms = append(numbers, int64(s.value)), append(ms, s.ms)
		}
	}
	return numbers, ms
}

// wantEveryPageOnce fails the test unless every page up to the one before last
// is stored once, in order, for each of the target's series. The last one may
// have been on its way when kinglet was stopped.
func wantEveryPageOnce(t *testing.T, n *simulator, x *target) {
	t.Helper()
	found := n.series(`__name__="page"`, `job="page"`, `ident="node-1"`)
	if len(found) != targetSeries {
		t.Errorf("%d series are stored, want %d", len(found), targetSeries)
	}
	for labels, samples := range found {
		numbers, _ := pages(samples)
		for i, number := range numbers {
			if number != int64(i+1) {
				t.Fatalf("%s: page %d came where %d was due, of %v", labels, number, i+1, numbers)
			}
		}
		if served := x.served.Load(); int64(len(numbers)) < served-1 {
			t.Fatalf("%s: %d pages are stored of %d", labels, len(numbers), served)
		}
	}
}

// awaitPages waits until so many pages more are served.
func awaitPages(t *testing.T, x *target, more int64) {
	t.Helper()
	until := x.served.Load() + more
	harness.Eventually(t, time.Minute, fmt.Sprintf("%d more pages", more), func() (bool, string) {
		return x.served.Load() >= until, fmt.Sprint(x.served.Load())
	})
}

// caughtUp waits until what is stored is no more than two pages behind.
func caughtUp(t *testing.T, n *simulator, x *target) {
	t.Helper()
	harness.Eventually(t, time.Minute, "the store has caught up", func() (bool, string) {
		for _, samples := range n.series(`__name__="page"`, `i="0"`) {
			numbers, _ := pages(samples)
			if served := x.served.Load(); int64(len(numbers)) >= served-2 {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%d pages served", x.served.Load())
	})
}
