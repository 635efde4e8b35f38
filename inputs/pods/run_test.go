package pods

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kinglet/inputs"
	"kinglet/k8s"
)

// run runs the input until the test ends.
func run(t *testing.T, cfgs ...Config) (*Input, *store) {
	t.Helper()
	in, err := newInput(cfgs, inputs.Settings{UserAgent: "kinglet/test"}, slog.New(slog.DiscardHandler), prometheus.NewRegistry(),
		func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range in.finders() {
		f.again = 100 * time.Millisecond
	}
	ctx, stop := context.WithCancel(t.Context())
	s, ended := newStore(), make(chan error, 1)
	go func() { ended <- in.Run(ctx, s) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return in, s
}

// within waits until fine, for as long as users are promised.
func within(t *testing.T, limit time.Duration, what string, fine func() bool) {
	t.Helper()
	deadline := time.After(limit)
	for !fine() {
		select {
		case <-deadline:
			t.Fatalf("not within %v: %s", limit, what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

const promised = 5 * time.Second

// verdictOn is what the report says of a pod.
func verdictOn(in *Input, pod string) Verdict {
	for _, v := range in.Report().Pods {
		if v.Pod == pod {
			return v
		}
	}
	return Verdict{}
}

func TestPodsComeAndGo(t *testing.T) {
	n := newFakeNode(t)
	a, b, c := servePage(t), servePage(t), servePage(t)
	n.put(a.pod(t, "a"))
	in, s := run(t, n.config())
	within(t, promised, "a is scraped", func() bool { return s.up("a") })

	n.put(b.pod(t, "b"))
	within(t, promised, "b, which is new, is scraped", func() bool { return s.up("b") })

	n.change(func() { delete(n.pods, "a") })
	within(t, promised, "a, which is gone, has ended", func() bool { return s.ended("a") })
	_, before := s.last("things_total", "a")
	hits := a.hits.Load()

	unasked := c.pod(t, "c")
	unasked.Annotations = nil
	n.put(unasked)
	within(t, promised, "c, which does not ask, has a verdict", func() bool { return verdictOn(in, "c").Code == NoAnnotation })
	n.put(c.pod(t, "c"))
	within(t, promised, "c, which asks now, is scraped", func() bool { return s.up("c") && verdictOn(in, "c").Health == "up" })
	n.put(unasked)
	within(t, promised, "c, which asks no more, has ended", func() bool { return s.ended("c") })

	done := b.pod(t, "b")
	done.Phase = k8s.PodSucceeded
	n.put(done)
	within(t, promised, "b, which has finished, has ended", func() bool { return s.ended("b") && verdictOn(in, "b").Code == Phase })
	if _, after := s.last("things_total", "a"); after != before || a.hits.Load() != hits {
		t.Errorf("a was scraped after its end: %d samples, then %d", before, after)
	}
	for _, pod := range []string{"a", "b", "c"} {
		if times := s.times["things_total "+pod]; !slices.IsSorted(times) || len(slices.Compact(slices.Clone(times))) != len(times) {
			t.Errorf("%s: times are not one after the other: %d", pod, times)
		}
	}
}

// TestReusedAddressIsAnotherPod: a pod that comes back elsewhere, or another at
// its address, does not continue its series.
func TestReusedAddressIsAnotherPod(t *testing.T) {
	n := newFakeNode(t)
	p := servePage(t)
	n.put(p.pod(t, "old"))
	_, s := run(t, n.config())
	within(t, promised, "old is scraped", func() bool { return s.up("old") })
	n.change(func() {
		delete(n.pods, "old")
		n.pods["new"] = p.pod(t, "new")
	})
	within(t, promised, "new is scraped in its place", func() bool { return s.up("new") && s.ended("old") })
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, first := slices.Max(s.times["up old"]), s.times["up new"][0]; last > first {
		t.Errorf("old ends at %d, after new began at %d", last, first)
	}
}

func TestPodsStayWhileTheKubeletIsAway(t *testing.T) {
	n := newFakeNode(t)
	p := servePage(t)
	n.put(p.pod(t, "a"))
	in, s := run(t, n.config())
	within(t, promised, "a is scraped", func() bool { return s.up("a") })
	n.change(func() { n.refuse = http.StatusInternalServerError })
	within(t, promised, "the fault is told", func() bool { return strings.Contains(in.Report().Sources[0].Error, "answers 500") })
	_, before := s.last("up", "a")
	within(t, promised, "scraping goes on", func() bool { _, now := s.last("up", "a"); return now > before+3 && s.up("a") })
	if in.NotReady() != "" {
		t.Errorf("not ready: %s", in.NotReady())
	}
	n.change(func() {
		n.refuse = 0
		n.pods["b"] = p.pod(t, "b")
		delete(n.pods, "a")
	})
	within(t, promised, "what changed meanwhile is seen", func() bool { return s.up("b") && s.ended("a") && in.Report().Sources[0].Error == "" })
}

func TestTheAPIServerIsAskedOnceItsAuthorityIsThere(t *testing.T) {
	n := newFakeNode(t)
	secure := httptest.NewTLSServer(http.HandlerFunc(n.serveAPI))
	t.Cleanup(secure.Close)
	page := servePage(t)
	n.put(page.pod(t, "a"))
	cfg, dir := n.config(), t.TempDir()
	cfg.Source, cfg.APIURL = sourceAPI, secure.URL
	cfg.APICAFile, cfg.APITokenFile = filepath.Join(dir, "ca.crt"), filepath.Join(dir, "token")
	if err := os.WriteFile(cfg.APITokenFile, []byte("token"), 0o600); err != nil {
		t.Fatal(err)
	}
	in, s := run(t, cfg)
	within(t, promised, "the missing file is named", func() bool { return strings.Contains(in.NotReady(), cfg.APICAFile) })
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(cfg.APICAFile, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	within(t, promised, "a is found by the API server", func() bool { return s.up("a") })
}

func TestAutoAsksTheAPIServerWhileTheKubeletRefuses(t *testing.T) {
	n := newFakeNode(t)
	p := servePage(t)
	n.put(p.pod(t, "a"))
	n.refuse = http.StatusForbidden
	in, s := run(t, n.config())
	within(t, promised, "a is found by the API server", func() bool { return s.up("a") })
	source := func() SourceReport { return in.Report().Sources[0] }
	if got := source(); got.Source != "api" || !strings.Contains(got.KubeletRefuses, "get on nodes/pods") {
		t.Errorf("%+v", got)
	}
	_, before := s.last("up", "a")
	n.change(func() { n.refuse = 0 })
	within(t, promised, "the kubelet is asked again, and the API server no more", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.watches == 0 && source().Source == "kubelet" && source().KubeletRefuses == ""
	})
	within(t, promised, "scraping goes on", func() bool { _, now := s.last("up", "a"); return now > before+2 })
	if v, _ := s.last("up", "a"); v != 1 {
		t.Errorf("up is %v", v)
	}
}

func TestNobodyToAskIsNotReady(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*fakeNode, *Config)
		want string
	}{
		{"a kubelet that refuses, alone", func(n *fakeNode, c *Config) { c.Source, n.refuse = sourceKubelet, 403 }, "get on nodes/pods"},
		{"an API server that refuses", func(n *fakeNode, c *Config) { c.Source, n.noAPI = sourceAPI, true }, "list and watch on pods"},
		{"both", func(n *fakeNode, _ *Config) { n.refuse, n.noAPI = 401, true }, "list and watch on pods"},
		{"no API server", func(_ *fakeNode, c *Config) { c.Source, c.APIURL = sourceAPI, "" }, "there is no API server to be asked"},
		{"no node's name", func(_ *fakeNode, c *Config) { c.Source, c.NodeName = sourceAPI, "" }, "the name of this node is not known"},
		{"a kubelet that is not there, and no API server", func(n *fakeNode, c *Config) { c.APIURL = ""; n.kubelet.Close() }, "connection refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newFakeNode(t)
			cfg := n.config()
			tt.edit(n, &cfg)
			in, _ := run(t, cfg)
			within(t, promised, tt.want, func() bool { return strings.Contains(in.NotReady(), tt.want) })
		})
	}
}

// TestUpdateTouchesNoMoreThanItMust: targets that stay lose no scrape, not even
// when the source has to be asked anew because rules came that see more.
func TestUpdateTouchesNoMoreThanItMust(t *testing.T) {
	n := newFakeNode(t)
	p, q := servePage(t), servePage(t)
	n.put(p.pod(t, "a"))
	n.put(q.pod(t, "b"))
	cfg := n.config()
	in, s := run(t, cfg)
	within(t, promised, "both are scraped", func() bool { return s.up("a") && s.up("b") })
	for name, edit := range map[string]func(*Config){
		"a selector":     func(c *Config) { c.LabelSelector = "app=a" },
		"rules":          func(c *Config) { c.LabelSelector, c.RelabelConfigs = "app=a", carriedOver().RelabelConfigs[:2] },
		"another source": func(c *Config) { c.LabelSelector, c.Source = "app=a", sourceAPI },
	} {
		edited := cfg
		edit(&edited)
		if err := in.Update([]Config{edited}, inputs.Settings{UserAgent: "kinglet/test"}); err != nil {
			t.Fatal(err)
		}
		within(t, promised, name+": b has ended", func() bool { return s.ended("b") })
		_, before := s.last("up", "a")
		within(t, promised, name+": a goes on", func() bool { _, now := s.last("up", "a"); return now > before+2 && s.up("a") })
		if err := in.Update([]Config{cfg}, inputs.Settings{UserAgent: "kinglet/test"}); err != nil {
			t.Fatal(err)
		}
		within(t, promised, name+": b is back", func() bool { return s.up("b") })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	times := s.times["up a"]
	for i := 1; i < len(times); i++ {
		if gap := times[i] - times[i-1]; gap > 1000 {
			t.Errorf("a was not scraped for %d ms", gap)
		}
	}
	bad := cfg
	bad.LabelSelector = "app in"
	if err := in.Update([]Config{bad}, inputs.Settings{}); err == nil {
		t.Error("a bad selector was taken")
	}
}

func TestRedirectsOfPodsAreNotFollowed(t *testing.T) {
	n := newFakeNode(t)
	evil := servePage(t)
	p := &page{Server: httptest.NewServer(http.RedirectHandler(evil.URL, http.StatusFound))}
	defer p.Close()
	n.put(p.pod(t, "a"))
	in, _ := run(t, n.config())
	within(t, promised, "a is down", func() bool { return verdictOn(in, "a").Health == "down" })
	if v := verdictOn(in, "a"); !strings.Contains(v.Error, "302") || evil.hits.Load() > 0 {
		t.Errorf("%s, and %d hits elsewhere", v.Error, evil.hits.Load())
	}
}

func TestInstancesShareASource(t *testing.T) {
	n := newFakeNode(t)
	p := servePage(t)
	n.put(p.pod(t, "a"))
	first, second := n.config(), n.config()
	second.RequireAnnotation = false
	third := n.config()
	third.Job = "other"
	in, s := run(t, first, second, third)
	within(t, promised, "a is scraped", func() bool { return s.up("a") })
	if finders := in.finders(); len(finders) != 1 {
		t.Errorf("%d finders", len(finders))
	}
	var got []string
	for _, v := range in.Report().Pods {
		got = append(got, fmt.Sprint(v.Instance, " ", v.Code))
	}
	if want := []string{"1 scraped", "2 duplicate", "3 scraped"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOnceFindsAndScrapes(t *testing.T) {
	for _, source := range []string{sourceAuto, sourceKubelet, sourceAPI} {
		t.Run(source, func(t *testing.T) {
			n := newFakeNode(t)
			p := servePage(t)
			n.put(p.pod(t, "a"))
			gone := servePage(t)
			n.put(gone.pod(t, "b"))
			gone.Close()
			cfg := n.config()
			cfg.Source = source
			if source == sourceAuto {
				n.refuse = http.StatusForbidden
			}
			in, err := New([]Config{cfg}, inputs.Settings{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			if err != nil {
				t.Fatal(err)
			}
			s := newStore()
			down, err := in.Once(t.Context(), s)
			if down != 1 || err != nil || !s.up("a") {
				t.Errorf("%d down, %v, a up: %v", down, err, s.up("a"))
			}
		})
	}
	t.Run("nobody to ask", func(t *testing.T) {
		n := newFakeNode(t)
		n.refuse, n.noAPI = http.StatusForbidden, true
		in, err := New([]Config{n.config()}, inputs.Settings{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Once(t.Context(), newStore()); err == nil || !strings.Contains(err.Error(), "list and watch on pods") {
			t.Errorf("%v", err)
		}
	})
}

// TestReportIsStable: it is what GET /pods answers, which docs/pods.md describes.
func TestReportIsStable(t *testing.T) {
	n := newFakeNode(t)
	p := servePage(t)
	n.put(p.pod(t, "a"))
	in, s := run(t, n.config())
	within(t, promised, "a is scraped", func() bool { return s.up("a") && verdictOn(in, "a").Health == "up" })
	text, err := json.Marshal(in.Report())
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Sources []map[string]any `json:"sources"`
		Pods    []map[string]any `json:"pods"`
	}
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"node", "source", "pods", "updated"} {
		if report.Sources[0][key] == nil {
			t.Errorf("a source has no %s: %s", key, text)
		}
	}
	for _, key := range []string{
		"instance", "namespace", "pod", "container", "port", "phase", "ip", "scraped", "code", "reason", "url", "labels", "health", "last_scrape", "samples",
	} {
		if report.Pods[0][key] == nil {
			t.Errorf("a verdict has no %s: %s", key, text)
		}
	}
}
