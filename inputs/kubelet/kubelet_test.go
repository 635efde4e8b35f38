package kubelet

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	promclient "github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"kinglet"
	"kinglet/inputs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector keeps what is pushed.
type collector struct {
	mu   sync.Mutex
	rows []*kinglet.Row
}

func (c *collector) Push(_ context.Context, rows ...*kinglet.Row) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rows = append(c.rows, rows...)
	return nil
}

// sample is one sample: its labels as name{...}, without those in hidden, and
// the time that its page gave, 0 for none.
type sample struct {
	series string
	value  float64
	timeMs int64
}

func (c *collector) samples(hidden ...string) []sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []sample
	for _, row := range c.rows {
		for i, value := range row.Values {
			if kinglet.IsAbsent(value) {
				continue
			}
			s := sample{value: value}
			if row.TimesMs != nil && row.TimesMs[i] != kinglet.NoTime {
				s.timeMs = row.TimesMs[i]
			}
			var name string
			var pairs []string
			for _, l := range row.Shape.AppendLabels(nil, i) {
				switch {
				case l.Name == kinglet.MetricNameLabel:
					name = l.Value
				case !slices.Contains(hidden, l.Name):
					pairs = append(pairs, fmt.Sprintf("%s=%q", l.Name, l.Value))
				}
			}
			s.series = name + "{" + strings.Join(pairs, ",") + "}"
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b sample) int { return strings.Compare(a.series, b.series) })
	return all
}

// seriesOf are the series and values of the samples of a metric.
func seriesOf(all []sample, metric string) []string {
	var found []string
	for _, s := range all {
		if strings.HasPrefix(s.series, metric+"{") {
			found = append(found, fmt.Sprintf("%s %v", s.series, s.value))
		}
	}
	return found
}

// node is a kubelet that knows one token at a time.
type node struct {
	*httptest.Server
	dir string // with token and ca.crt, as a service account is mounted

	mu     sync.Mutex
	token  string
	pages  map[string]string
	status map[string]int // in place of 200, for the right token
	asked  []string       // path and token
}

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{
		dir: t.TempDir(), token: "first", status: map[string]int{}, pages: map[string]string{
			"/metrics":          "kubelet_running_pods 3\nkubelet_node_name{node=\"exposed\"} 1\n",
			"/metrics/cadvisor": "container_memory_rss{container=\"app\",id=\"/a\",namespace=\"shop\",pod=\"web-1\"} 7 1795255449854\n",
			"/metrics/resource": "container_memory_working_set_bytes{container=\"app\",namespace=\"shop\",pod=\"web-1\"} 5 1795255449854\n",
			"/metrics/probes":   "prober_probe_total{container=\"app\",namespace=\"shop\",pod=\"web-1\",result=\"successful\"} 2\n",
		},
	}
	n.Server = httptest.NewUnstartedServer(n)
	n.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail are what is tested
	n.StartTLS()
	t.Cleanup(n.Close)
	n.write(t, "token", "first\n")
	n.write(t, "ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.Certificate().Raw})))
	return n
}

func (n *node) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(n.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// requests are the path and the token of each request since the last call,
// sorted.
func (n *node) requests() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	asked := n.asked
	n.asked = nil
	slices.Sort(asked)
	return asked
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	n.asked = append(n.asked, r.URL.Path+" "+token)
	page, ok := n.pages[r.URL.Path]
	switch {
	case token != n.token:
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
	case n.status[r.URL.Path] != 0:
		http.Error(w, "Forbidden (user=system:serviceaccount:kinglet:kinglet, verb=get, resource=nodes, subresource(s)=[metrics])", n.status[r.URL.Path])
	case !ok:
		http.NotFound(w, r)
	default:
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		io.WriteString(w, page)
	}
}

// config asks the node as a pod on it does.
func (n *node) config() Config {
	cfg := DefaultConfig()
	cfg.URL, cfg.NodeName = n.URL, "node1"
	cfg.TokenFile, cfg.CAFile = filepath.Join(n.dir, "token"), filepath.Join(n.dir, "ca.crt")
	return cfg
}

func testSettings() inputs.Settings {
	return inputs.Settings{
		Hostname: "node1", Interval: 15 * time.Second, Precision: time.Millisecond, MaxColumns: 1000, UserAgent: "kinglet/test",
	}
}

func newInput(t *testing.T, cfgs ...Config) *Input {
	t.Helper()
	in, err := New(cfgs, testSettings(), slog.New(slog.DiscardHandler), promclient.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// scrapeOnce scrapes all pages once.
func scrapeOnce(t *testing.T, cfgs ...Config) (samples []sample, in *Input) {
	t.Helper()
	out := &collector{}
	in = newInput(t, cfgs...)
	if _, err := in.Once(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	return out.samples("agent_hostname"), in
}

func TestAllPagesAreScrapedWithTheirLabels(t *testing.T) {
	n := newNode(t)
	samples, in := scrapeOnce(t, n.config())
	port := n.URL[strings.LastIndex(n.URL, ":"):]
	for _, tt := range []struct {
		claim, metric string
		want          []string
	}{
		{"each page is a target", "up", []string{
			`up{instance="node1` + port + `",job="kubelet",metrics_path="/metrics",node="node1"} 1`,
			`up{instance="node1` + port + `",job="kubelet",metrics_path="/metrics/cadvisor",node="node1"} 1`,
			`up{instance="node1` + port + `",job="kubelet",metrics_path="/metrics/probes",node="node1"} 1`,
			`up{instance="node1` + port + `",job="kubelet",metrics_path="/metrics/resource",node="node1"} 1`,
		}},
		{"cAdvisor's own labels stay what they are", "container_memory_rss", []string{
			`container_memory_rss{container="app",id="/a",instance="node1` + port + `",job="kubelet",metrics_path="/metrics/cadvisor",namespace="shop",node="node1",pod="web-1"} 7`,
		}},
		{"an exposed label that the target has too is renamed", "kubelet_node_name", []string{
			`kubelet_node_name{exported_node="exposed",instance="node1` + port + `",job="kubelet",metrics_path="/metrics",node="node1"} 1`,
		}},
	} {
		if diff := cmp.Diff(tt.want, seriesOf(samples, tt.metric)); diff != "" {
			t.Errorf("%s: %s", tt.claim, diff)
		}
	}
	for _, target := range in.Targets() {
		if target.Input != Name || !target.Up || target.Labels["metrics_path"] == "" {
			t.Errorf("shown as %+v", target)
		}
	}
}

func TestTimestampsAreTakenByPage(t *testing.T) {
	n := newNode(t)
	yes, no := true, false
	for _, tt := range []struct {
		name               string
		honor              *bool
		cadvisor, resource int64
	}{
		{"not set: resource's, not cAdvisor's", nil, 0, 1795255449854},
		{"taken", &yes, 1795255449854, 1795255449854},
		{"not taken", &no, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := n.config()
			cfg.HonorTime = tt.honor
			samples, _ := scrapeOnce(t, cfg)
			for metric, want := range map[string]int64{"container_memory_rss": tt.cadvisor, "container_memory_working_set_bytes": tt.resource} {
				i := slices.IndexFunc(samples, func(s sample) bool { return strings.HasPrefix(s.series, metric+"{") })
				if i < 0 || samples[i].timeMs != want {
					t.Errorf("%s: sample %d, want the time %d: %+v", metric, i, want, samples)
				}
			}
		})
	}
}

func TestOnlyThePagesNamedAreAsked(t *testing.T) {
	n := newNode(t)
	cfg, other := n.config(), n.config()
	cfg.Pages, other.Pages = []string{"resource"}, []string{"probes"}
	other.Labels = map[string]string{"job": "probes", "node": "-"}
	samples, _ := scrapeOnce(t, cfg, other)
	if diff := cmp.Diff([]string{"/metrics/probes first", "/metrics/resource first"}, n.requests()); diff != "" {
		t.Error(diff)
	}
	if got := seriesOf(samples, "prober_probe_total"); len(got) != 1 || !strings.Contains(got[0], `job="probes"`) || strings.Contains(got[0], "node=") {
		t.Errorf("labels: %v", got)
	}
}

func TestHonorLabelsKeepsThePages(t *testing.T) {
	n := newNode(t)
	cfg := n.config()
	cfg.HonorLabels = true
	samples, _ := scrapeOnce(t, cfg)
	if got := seriesOf(samples, "kubelet_node_name"); len(got) != 1 || !strings.Contains(got[0], `node="exposed"`) || strings.Contains(got[0], "exported_") {
		t.Errorf("got %v", got)
	}
}

func TestARefusalNamesThePermission(t *testing.T) {
	for _, tt := range []struct {
		name     string
		sabotage func(t *testing.T, n *node, cfg *Config)
		want     []string // in the error of /metrics/cadvisor, in this order
	}{
		{"403", func(_ *testing.T, n *node, _ *Config) { n.status["/metrics/cadvisor"] = http.StatusForbidden },
			[]string{"status 403 Forbidden", "subresource(s)=[metrics]", "ClusterRole", "get on nodes/metrics"}},
		{"401", func(_ *testing.T, n *node, _ *Config) { n.token = "another" },
			[]string{"status 401 Unauthorized", "kubelet_token_file"}},
		{"no token is mounted", func(t *testing.T, n *node, cfg *Config) { cfg.TokenFile = filepath.Join(n.dir, "gone") },
			[]string{"gone", "automountServiceAccountToken"}},
		{"a certificate of another authority", func(_ *testing.T, _ *node, cfg *Config) { cfg.CAFile = "testdata/other-ca.crt" },
			[]string{"certificate", "kubelet_cert_file", "kubelet_insecure_skip_verify"}},
		{"404", func(_ *testing.T, n *node, _ *Config) { delete(n.pages, "/metrics/cadvisor") },
			[]string{"status 404 Not Found", "no such page"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t)
			cfg := n.config()
			tt.sabotage(t, n, &cfg)
			samples, in := scrapeOnce(t, cfg)
			var fault string
			for _, target := range in.Targets() {
				if strings.HasSuffix(target.URL, "/cadvisor") {
					fault = target.Error
				}
			}
			rest := fault
			for _, part := range tt.want {
				_, after, ok := strings.Cut(rest, part)
				if !ok {
					t.Fatalf("got %q, want %q in it", fault, tt.want)
				}
				rest = after
			}
			for _, secret := range []string{"first", "another"} {
				if strings.Contains(fault, secret) {
					t.Errorf("the token is shown: %s", fault)
				}
			}
			if got := seriesOf(samples, "container_memory_rss"); len(got) > 0 {
				t.Errorf("samples of a page that was refused: %v", got)
			}
		})
	}
}

func TestTheKubeletIsToldByItsCertificate(t *testing.T) {
	n := newNode(t)
	for _, tt := range []struct {
		name string
		edit func(*Config)
		up   bool
	}{
		{"signed by the authority", func(*Config) {}, true},
		{"signed by another", func(c *Config) { c.CAFile = "testdata/other-ca.crt" }, false},
		{"for another name", func(c *Config) { c.ServerName = "node-8" }, false},
		{"for the name that is given", func(c *Config) { c.ServerName = "example.com" }, true},
		{"its own, whoever signed it", func(c *Config) { c.CertFile, c.CAFile = c.CAFile, "testdata/other-ca.crt" }, true},
		{"not checked", func(c *Config) { c.InsecureSkipVerify, c.CAFile = true, "testdata/other-ca.crt" }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := n.config()
			cfg.Pages = []string{"metrics"}
			tt.edit(&cfg)
			n.requests()
			_, in := scrapeOnce(t, cfg)
			target := in.Targets()[0]
			if target.Up != tt.up || len(n.requests()) > 0 != tt.up {
				t.Errorf("up %v: %s", target.Up, target.Error)
			}
		})
	}
}

func TestTheTokenIsReadAgainForEachScrape(t *testing.T) {
	n := newNode(t)
	cfg := n.config()
	cfg.Pages = []string{"metrics"}
	scrapeOnce(t, cfg)
	n.mu.Lock()
	n.token = "second"
	n.mu.Unlock()
	n.write(t, "token", "second")
	if samples, in := scrapeOnce(t, cfg); len(seriesOf(samples, "kubelet_running_pods")) != 1 {
		t.Errorf("after the rotation: %+v", in.Targets())
	}
	if diff := cmp.Diff([]string{"/metrics first", "/metrics second"}, n.requests()); diff != "" {
		t.Error(diff)
	}
}

func TestALargePageIsRefusedByThePagesOwnLimit(t *testing.T) {
	n := newNode(t)
	n.pages["/metrics/resource"] = strings.Repeat("# a comment that says nothing at all\n", 5<<20/37)
	_, in := scrapeOnce(t, n.config())
	for _, target := range in.Targets() {
		if over := strings.HasSuffix(target.URL, "/resource"); target.Up == over {
			t.Errorf("%s: up %v, %s", target.URL, target.Up, target.Error)
		} else if over && !strings.Contains(target.Error, "body_size_limit") {
			t.Errorf("got %q", target.Error)
		}
	}
}

func TestTheTokenGoesToNobodyElse(t *testing.T) {
	n, other := newNode(t), newNode(t)
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusFound)
	}))
	defer elsewhere.Close()
	cfg := n.config()
	cfg.URL = elsewhere.URL // which the same authority vouches for
	scrapeOnce(t, cfg)
	if asked := other.requests(); len(asked) > 0 {
		t.Errorf("a redirect was followed: %v", asked)
	}

	plain := httptest.NewServer(n)
	defer plain.Close()
	n.requests()
	cfg.URL = plain.URL
	cfg.Pages = []string{"metrics"}
	scrapeOnce(t, cfg)
	if diff := cmp.Diff([]string{"/metrics "}, n.requests()); diff != "" {
		t.Errorf("over http://: %s", diff)
	}
}
