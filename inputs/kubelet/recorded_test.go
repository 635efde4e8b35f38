package kubelet

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kinglet/internal/tree"
)

// recorded is a page of a real kubelet.
func recorded(t *testing.T, name string) string {
	t.Helper()
	return string(tree.Unzip(t, filepath.Join("..", "promtext", "testdata", name+".txt.gz")))
}

// named matches a series that has the three labels, and not empty ones, which are
// no labels.
var named = regexp.MustCompile(`[{,]container="[^"].*,namespace="[^"].*,pod="[^"]`)

// TestRecordedPagesPassAsTheyAre serves what a kubelet served, cAdvisor's page
// that of a node with 80 pods: every sample passes, within the limits, and no
// label of the page gives way to one of the target but kubelet_node_name's.
func TestRecordedPagesPassAsTheyAre(t *testing.T) {
	n := newNode(t)
	n.pages = map[string]string{
		"/metrics":          recorded(t, "kubelet"),
		"/metrics/cadvisor": recorded(t, "pods-80.kubelet-cadvisor"),
		"/metrics/resource": recorded(t, "kubelet-resource"),
		"/metrics/probes":   "",
	}
	samples, in := scrapeOnce(t, n.config())
	want := map[string]int{}
	for path, page := range n.pages {
		for line := range strings.Lines(page) {
			if !strings.HasPrefix(line, "#") {
				want[path]++
			}
		}
	}
	if want["/metrics/cadvisor"] != 11951 {
		t.Errorf("docs/kubelet.md says 11951 samples, the page has %d", want["/metrics/cadvisor"])
	}
	for _, target := range in.Targets() {
		if path := target.Labels["metrics_path"]; !target.Up || target.Samples != want[path] {
			t.Errorf("%s: up %v, %d samples of %d: %s", path, target.Up, target.Samples, want[path], target.Error)
		}
	}
	ofContainers, kept := 0, 0
	for line := range strings.Lines(n.pages["/metrics/cadvisor"]) {
		if named.MatchString(line) {
			ofContainers++
		}
	}
	for _, s := range samples {
		if strings.Contains(s.series, "exported_") && !strings.HasPrefix(s.series, "kubelet_node_name{") {
			t.Fatalf("a label was renamed: %s", s.series)
		}
		if strings.Contains(s.series, `metrics_path="/metrics/cadvisor"`) && named.MatchString(s.series) {
			kept++
		}
	}
	if ofContainers < 3000 || kept != ofContainers {
		t.Errorf("%d of %d series of containers have their namespace, pod and container", kept, ofContainers)
	}
}
