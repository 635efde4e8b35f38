//go:build e2e

package cluster

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kinglet/e2e/harness"
)

// podsByAnnotation looks for each of manifests/pods.yaml.
func podsByAnnotation(t *testing.T) {
	for _, tt := range []struct {
		pod     string
		targets int
		labels  string // what its series have beside namespace and pod
	}{
		{"plain", 1, `container="sample"`},
		{"host", 1, `instance="10.89.0.2:18080"`},
		{"two-ports", 2, `instance=~".+:(8080|8081)"`},
		{"path", 1, `instance=~".+:8080"`},
		{"https", 1, `instance=~".+:8443"`},
	} {
		selector := fmt.Sprintf(`{namespace="apps",pod=%q,node="node1",%s}`, tt.pod, tt.labels)
		if got := one(t, 30*time.Second, fmt.Sprintf(`count(sample_scrapes_total%s)`, selector)); int(got) != tt.targets {
			t.Errorf("%s has %v targets, want %d", tt.pod, got, tt.targets)
		}
		if got := one(t, 30*time.Second, fmt.Sprintf(`count(up%s == 1)`, selector)); int(got) != tt.targets {
			t.Errorf("%v targets of %s are up, want %d", got, tt.pod, tt.targets)
		}
	}
	// By now those that are to be left alone would have been found too.
	for name, why := range map[string]string{"silent": "no_annotation", "refused": "declined", "finished": "phase", "outside": "namespace"} {
		wantNeverScraped(t, name)
		wantExplained(t, name, why)
	}
	// Whoever can only get into the pod sees the same.
	if table := node.must(t, "-n", "kinglet", "exec", "ds/kinglet", "--", "/kinglet", "pods"); !strings.Contains(table, "it has no annotation") {
		t.Errorf("kinglet pods prints:\n%s", table)
	}
}

// wantNeverScraped wants nothing that a scrape of the pod leaves.
func wantNeverScraped(t *testing.T, name string) {
	t.Helper()
	selector := fmt.Sprintf(`{__name__=~"up|scrape_.+|sample_.+",pod=%q}`, name)
	if found := history(t, selector, time.Now().Add(-time.Hour)); len(found) > 0 {
		t.Errorf("the pod %s was scraped: %v", name, found)
	}
}

// wantExplained looks for a pod that is not scraped on the page that says why.
func wantExplained(t *testing.T, name, why string) {
	t.Helper()
	text, err := node.ask("/pods")
	if err != nil {
		t.Fatalf("kinglet's list of pods: %v", err)
	}
	var page struct {
		Sources []struct{ Source string }
		Pods    []struct{ Pod, Code, Reason string }
	}
	if err := json.Unmarshal([]byte(text), &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Sources) != 1 || page.Sources[0].Source != "kubelet" {
		t.Errorf("the sources of pods are %v, want the kubelet", page.Sources)
	}
	for _, p := range page.Pods {
		if p.Pod == name {
			if p.Code != why || p.Reason == "" {
				t.Errorf("%s is not scraped for %s (%q), want %s", name, p.Code, p.Reason, why)
			}
			return
		}
	}
	t.Errorf("kinglet's list of pods does not name %s:\n%s", name, text)
}

// deletedPod deletes one and sees its series end, for good.
func deletedPod(t *testing.T) {
	const selector = `{__name__=~"up|scrape_.+|sample_.+",pod="doomed"}`
	node.must(t, "apply", "-f", "manifests/doomed.yaml")
	one(t, time.Minute, `sample_scrapes_total{pod="doomed"} >= 3`)
	wantPrompt(t, "doomed")
	node.must(t, "-n", "apps", "delete", "pod", "doomed", "--wait=false")
	asked := time.Now()
	eventually(t, time.Minute, "the pod is gone", func() (bool, string) {
		_, err := harness.Get("http://" + instant(t, `last_over_time(sample_scrapes_total{pod="doomed"}[5m])`)[0].labels["instance"] + "/healthz")
		return err != nil, "it answers"
	})
	gone := time.Now()
	took := eventually(t, interval+time.Second, "the deleted pod's series are stale", func() (bool, string) {
		found := instant(t, `sample_scrapes_total{pod="doomed"}`)
		return len(found) == 0, fmt.Sprint(found)
	})
	node.figures.add("a deleted pod's series are stale", "%.1f s after it answered last, %.1f s after it was deleted", took.Seconds(), time.Since(asked).Seconds())
	eventually(t, 2*interval, "all that is said of the target ends too", func() (bool, string) {
		found := instant(t, selector)
		return len(found) == 0, fmt.Sprint(found)
	})
	ended := time.Now()
	pause(t, 3*interval)
	for _, s := range history(t, selector, gone.Add(-time.Minute)) {
		if last := s.points[len(s.points)-1].at; last.After(ended) {
			t.Errorf("%s has a sample of %v, the target ended at %v", s, last, ended)
		}
	}
	if found := instant(t, selector); len(found) > 0 {
		t.Errorf("it is back: %v", found)
	}
}

// wantPrompt wants a pod's first scrape within 5 s of its container's start.
func wantPrompt(t *testing.T, name string) {
	t.Helper()
	var p struct {
		Status struct {
			ContainerStatuses []struct {
				State struct{ Running struct{ StartedAt time.Time } }
			}
		}
	}
	node.get(t, &p, "-n", "apps", "pod", name)
	started := p.Status.ContainerStatuses[0].State.Running.StartedAt // in whole seconds
	first := history(t, fmt.Sprintf("sample_scrapes_total{pod=%q}", name), started)[0].points[0].at
	if took := first.Sub(started); took > 6*time.Second {
		t.Errorf("%s started at %v and was scraped first at %v", name, started, first)
	} else {
		node.figures.add("a new pod is scraped", "%.0f s after its container started", took.Seconds())
	}
}

// rebornPods deletes pods that come back by themselves and wants each sample to
// be of one of the two, whose samples do not mingle in time.
func rebornPods(t *testing.T) {
	began := time.Now()
	node.must(t, "apply", "-f", "manifests/reborn.yaml")
	one(t, time.Minute, `count(sample_scrapes_total{pod=~"reborn.*-0"} >= 3) == 2`)
	node.must(t, "-n", "apps", "delete", "pod", "reborn-0", "reborn-host-0", "--wait=true")
	deleted := time.Now()
	one(t, time.Minute, fmt.Sprintf(`count(timestamp(sample_scrapes_total{pod=~"reborn.*-0"}) > %d and sample_scrapes_total >= 3) == 2`, deleted.Unix()))
	for _, name := range []string{"reborn-0", "reborn-host-0"} {
		runs := scrapesOf(t, fmt.Sprintf("pod=%q", name), began)
		if len(runs) != 2 {
			t.Errorf("%s ran twice and is seen as %v", name, runs)
			continue
		}
		var spans [][]point
		for run, scrapes := range runs {
			wantConsecutive(t, run, scrapes, 3*interval)
			if scrapes[0].value != 1 {
				t.Errorf("%s begins with scrape %v", run, scrapes[0].value)
			}
			spans = append(spans, scrapes)
		}
		slices.SortFunc(spans, func(a, b []point) int { return a[0].at.Compare(b[0].at) })
		if last, first := spans[0][len(spans[0])-1].at, spans[1][0].at; !last.Before(first) {
			t.Errorf("%s: the first pod's last sample is of %v, the second's first of %v", name, last, first)
		}
	}
	node.must(t, "delete", "-f", "manifests/reborn.yaml", "--wait=false")
}

// eightyPods starts them at once, and measures what kinglet takes of the node
// meanwhile.
func eightyPods(t *testing.T) {
	const pods = 80
	node.must(t, "apply", "-f", "manifests/many.yaml")
	node.must(t, "-n", "apps", "rollout", "status", "deploy/many", "--timeout=180s", "--request-timeout=0")
	took := eventually(t, 30*time.Second, "all pods are scraped", func() (bool, string) {
		found := instant(t, `count(up{namespace="apps",pod=~"many-.*"} == 1)`)
		return len(found) == 1 && found[0].points[0].value == pods, fmt.Sprint(found)
	})
	node.figures.add("80 pods are scraped", "%.1f s after the last one was ready", took.Seconds())
	pause(t, 4*interval)
	one(t, interval, fmt.Sprintf(`count(sample_scrapes_total{pod=~"many-.*"} >= 4) == %d`, pods))
	node.figures.add("targets with 80 pods", "%.0f, %.0f series", one(t, interval, `count(up)`), one(t, interval, `sum(scrape_samples_scraped)`))
	memoryFigures(t, "with 80 pods")
	node.must(t, "-n", "apps", "delete", "deploy", "many", "--wait=false")
	eventually(t, time.Minute, "all of them have ended", func() (bool, string) {
		found := instant(t, `count({__name__=~"up|sample_.+",pod=~"many-.*"})`)
		return len(found) == 0, fmt.Sprint(found)
	})
}
