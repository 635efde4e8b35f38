//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"kinglet/e2e/harness"
)

// kubeProxy is where kube-proxy answers on every node.
const kubeProxy = "127.0.0.1:10249"

// mountConfigMaps lays the two ConfigMaps of the article out as a pod sees them, and
// puts the receiver's address in place of the shipped one. Nothing else is
// changed.
func mountConfigMaps(t *testing.T, write string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/kube-proxy-article.yaml")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "etc", "kinglet", "conf")
	folders := map[string]string{"kinglet-config": root, "kinglet-input-prometheus": filepath.Join(root, "input.prometheus")}
	for _, document := range strings.Split(string(text), "\n---\n") {
		var cm corev1.ConfigMap
		if err := yaml.Unmarshal([]byte(document), &cm); err != nil {
			t.Fatal(err)
		}
		folder := folders[cm.Name]
		const version = "..2026_01_02_03_04_05.678"
		if err := os.MkdirAll(filepath.Join(folder, version), 0o755); err != nil {
			t.Fatal(err)
		}
		links := map[string]string{"..data": version}
		for name, body := range cm.Data {
			body = regexp.MustCompile(`(?m)^url = ".*"$`).ReplaceAllString(body, `url = "`+write+`"`)
			if err := os.WriteFile(filepath.Join(folder, version, name), []byte(body), 0o644); err != nil {
				t.Fatal(err)
			}
			links[name] = filepath.Join("..data", name)
		}
		for name, to := range links {
			if err := os.Symlink(to, filepath.Join(folder, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

// TestArticle is the kube-proxy article from end to end: scrapes of a page
// whose values move, and every sample of each at the receiver. The first scrape
// comes at once, the others in the target's phase, one interval apart.
func TestArticle(t *testing.T) {
	for _, tt := range []struct {
		name     string
		receiver func(*testing.T) *receiver
		args     []string
		interval time.Duration
	}{
		{"to Prometheus, every 15 s as configured", startPrometheus, nil, 15 * time.Second},
		{"to VictoriaMetrics, every 2 s", startVictoria, []string{"--interval", "2"}, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			early, late := recordedPage(t, "kube-proxy", "0s"), recordedPage(t, "kube-proxy", "15s")
			pages := []string{early, early, late}
			proxy := servePage(t, kubeProxy, func(n int) string { return pages[min(n, 2)] })
			r := tt.receiver(t)
			k := startKinglet(t, "127.0.0.1:9559", mountConfigMaps(t, r.write), tt.args...)
			const up = `up{job="kube-proxy"}`
			harness.Eventually(t, 3*tt.interval+20*time.Second, "three scrapes stored", func() (bool, string) {
				found := r.points(up)
				return len(found) >= 3, fmt.Sprint(found, len(proxy.times()), " requests")
			})
			found := r.series(t, `{job="kube-proxy"}`)
			checkInterval(t, proxy.times(), r.points(up), tt.interval)
			for n, page := range pages {
				checkScrape(t, r, found, n, parsePage(t, page), map[string]string{
					"job": "kube-proxy", "instance": "http://" + kubeProxy + "/metrics", "agent_hostname": "node-1",
				}, r.points(up)[n].Ms)
			}
			harness.Eventually(t, 20*time.Second, "up is 1", func() (bool, string) {
				values := slices.Collect(maps.Values(r.instant(t, up)))
				return slices.Equal(values, []float64{1}), fmt.Sprint(values)
			})
			checkReady(t, k)
			k.stop(t)
		})
	}
}

// checkInterval checks that timestamps are those of the scrapes, one interval apart.
func checkInterval(t *testing.T, asked []time.Time, up []point, interval time.Duration) {
	t.Helper()
	if len(asked) < 3 || len(up) < 3 {
		t.Fatalf("%d requests and %d points, want three of each", len(asked), len(up))
	}
	for i := range 3 {
		if late := asked[i].Sub(time.UnixMilli(up[i].Ms)); late < -50*time.Millisecond || late > time.Second {
			t.Errorf("scrape %d has the timestamp %v before its request arrived", i, late)
		}
	}
	apart := time.Duration(up[2].Ms-up[1].Ms) * time.Millisecond
	if diff := (apart - interval).Abs(); diff > 100*time.Millisecond {
		t.Errorf("the scrapes are %v apart, want %v", apart, interval)
	}
}

// checkScrape checks that the nth point of every series of a page is stored
// with the right labels, value and timestamp; ms stands for samples without one.
func checkScrape(t *testing.T, r *receiver, found []stored, n int, page map[string]exposed, extra map[string]string, ms int64) {
	t.Helper()
	byKey := map[string]stored{}
	for _, s := range found {
		byKey[s.key()] = s
	}
	missing, checked := 0, 0
	for _, want := range page {
		if !r.exact && math.IsNaN(want.Value) {
			continue
		}
		labels := maps.Clone(want.Labels)
		maps.Copy(labels, extra)
		s, ok := byKey[key(labels)]
		if !ok || len(s.Points) <= n {
			if missing++; missing <= 3 {
				t.Errorf("%s: scrape %d of %s is missing", r.Name, n, key(labels))
			}
			continue
		}
		checked++
		if want.Ms == 0 {
			want.Ms = ms
		}
		if got := s.Points[n]; got.Ms != want.Ms || !r.same(got.Value, want.Value) {
			t.Errorf("%s: scrape %d of %s is %v, want {%d %v}", r.Name, n, key(labels), got, want.Ms, want.Value)
		}
	}
	if missing > 0 || checked < 100 {
		t.Errorf("%s: %d series of scrape %d are missing, %d are there", r.Name, missing, n, checked)
	}
}

// same compares bit for bit, where the receiver keeps every bit.
func (r *receiver) same(got, want float64) bool {
	if r.exact {
		return math.Float64bits(got) == math.Float64bits(want) || math.IsNaN(got) && math.IsNaN(want)
	}
	return got == want || math.Abs(got-want) <= 1e-12*math.Abs(want)
}

// checkReady checks the agent's own health.
func checkReady(t *testing.T, k *kinglet) {
	t.Helper()
	for _, path := range []string{"/-/healthy", "/-/ready"} {
		if _, err := harness.Get(k.url(path)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	metrics, err := harness.Get(k.url("/metrics"))
	if err != nil || !strings.Contains(metrics, "\nkinglet_") {
		t.Errorf("/metrics shows nothing of kinglet: %v", err)
	}
}

// TestDryRun is the article's check: the samples on stdout, to be grepped.
func TestDryRun(t *testing.T) {
	servePage(t, kubeProxy, func(int) string { return recordedPage(t, "kube-proxy", "0s") })
	var writes atomic.Int64
	sink := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { writes.Add(1) }))
	defer sink.Close()
	command := exec.CommandContext(t.Context(), "/bin/sh", "-c",
		`"$KINGLET" --configs "$CONF" --test --inputs prometheus | grep kubeproxy_sync_proxy_rules`)
	command.Env = append(os.Environ(), "HOSTNAME=node-1", "KINGLET="+binaries.kinglet, "CONF="+mountConfigMaps(t, sink.URL))
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) < 20 {
		t.Errorf("%d lines, want 20 or more", len(lines))
	}
	form := regexp.MustCompile(`^\d\d:\d\d:\d\d kubeproxy_sync_proxy_rules\w+( \w+=\S+)+ \S+$`)
	for _, line := range lines {
		fields := strings.Fields(line)
		if !form.MatchString(line) {
			t.Fatalf("not of the form that is wanted: %s", line)
		}
		pairs := fields[2 : len(fields)-1]
		if !slices.IsSorted(pairs) {
			t.Errorf("pairs are not sorted: %s", line)
		}
		for _, want := range []string{"agent_hostname=node-1", "instance=http://127.0.0.1:10249/metrics", "job=kube-proxy"} {
			if !slices.Contains(pairs, want) {
				t.Errorf("no %s: %s", want, line)
			}
		}
	}
	if n := writes.Load(); n > 0 {
		t.Errorf("a dry run wrote %d times", n)
	}
}

func TestDryRunOfATargetThatIsDownFails(t *testing.T) {
	command := exec.CommandContext(t.Context(), binaries.kinglet, "--configs", mountConfigMaps(t, "http://127.0.0.1:1/"), "--test")
	command.Env = append(os.Environ(), "HOSTNAME=node-1")
	var stdout strings.Builder
	command.Stdout = &stdout
	err := command.Run()
	if command.ProcessState == nil || command.ProcessState.ExitCode() != 1 {
		t.Errorf("ended with %v, want exit code 1", err)
	}
	if !regexp.MustCompile(`(?m)^\S+ up .*instance=http://127.0.0.1:10249/metrics.* 0$`).MatchString(stdout.String()) {
		t.Errorf("no up 0 in:\n%s", stdout.String())
	}
}
