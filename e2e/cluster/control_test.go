//go:build e2e

package cluster

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kinglet/e2e/harness"
)

// account is kinglet's service account, as the API server names it.
const account = "system:serviceaccount:kinglet:kinglet"

// restartedKubelet restarts the kubelet, which then gives every pod a new
// token, and waits until kinglet shows the new one.
func restartedKubelet(t *testing.T) {
	began := time.Now()
	old := tokenID(t)
	node.daemon(t, "restart", "kubelet")
	eventually(t, time.Minute, "the kubelet answers", func() (bool, string) {
		_, err := harness.Get("http://127.0.0.1:10248/healthz")
		return err == nil, fmt.Sprint(err)
	})
	back := time.Now()
	took := eventually(t, 30*time.Second, "the kubelet's pages are scraped again", func() (bool, string) {
		found := instant(t, fmt.Sprintf(`count(timestamp(up{job="kubelet"} == 1) > %.3f) == 4`, float64(back.UnixMilli())/1000))
		return len(found) == 1, fmt.Sprint(instant(t, `up{job="kubelet"}`))
	})
	node.figures.add("a kubelet that restarted", "its pages are scraped %.1f s after it answered again", took.Seconds())
	scraped := time.Now()
	eventually(t, 3*time.Minute, "the token in kinglet's volume is replaced", func() (bool, string) {
		return tokenID(t) != old, old
	})
	fresh := tokenID(t)
	eventually(t, 4*time.Minute, "kinglet shows the new token to the kubelet", func() (bool, string) {
		return len(audited(t, func(e event) bool { return e.shows(fresh) })) > 0, "no review names " + fresh
	})
	pause(t, 2*interval)
	for _, s := range history(t, `up{job="kubelet"}`, scraped) {
		for _, p := range s.points {
			if p.value != 1 {
				t.Errorf("%s failed at %v, with the token being replaced", s, p.at)
			}
		}
	}
	wantSteady(t, began, 0)
}

// tokenID is the name of the token that kinglet's pod has now: its claim jti.
func tokenID(t *testing.T) string {
	t.Helper()
	// The volume is a file system in memory, which only the node sees.
	pattern := "/var/lib/kubelet/pods/" + node.agent(t).Metadata.UID + "/volumes/kubernetes.io~projected/*/token"
	parts := strings.Split(node.inside(t, "bash", "-c", "cat "+pattern), ".")
	if len(parts) != 3 {
		t.Fatal("kinglet's token is no token")
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var token struct{ JTI string }
	if err := json.Unmarshal(claims, &token); err != nil || token.JTI == "" {
		t.Fatalf("the token's claims: %v", err)
	}
	return token.JTI
}

// event is what these tests read of the API server's audit log.
type event struct {
	User          struct{ Username string }
	Verb          string
	RequestURI    string
	StageTime     time.Time `json:"stageTimestamp"`
	RequestObject struct {
		Spec struct {
			User  string
			Extra map[string][]string
		}
	}
}

// shows reports whether the kubelet asks what the holder of a token may do.
func (e event) shows(token string) bool {
	for _, id := range e.RequestObject.Spec.Extra["authentication.kubernetes.io/credential-id"] {
		if id == "JTI="+token {
			return true
		}
	}
	return false
}

// audited are the events that match.
func audited(t *testing.T, match func(event) bool) []event {
	t.Helper()
	f, err := os.Open(filepath.Join(node.work, "log/audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var found []event
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) == nil && match(e) { // the last line may be half written
			found = append(found, e)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// outage is how long the API server is away.
const outage = 2 * time.Minute

// stoppedAPIServer takes the API server away. The kubelet asks it whose token it
// is shown, and remembers for two minutes at most: how long its pages go on is
// the kubelet's affair, and noted.
func stoppedAPIServer(t *testing.T) {
	began := time.Now()
	node.daemon(t, "stop", "kube-apiserver")
	stopped := time.Now()
	defer node.daemon(t, "start", "kube-apiserver")
	pause(t, outage)
	wantSteady(t, began, 0)
	lasted := outage
	for _, s := range history(t, `up{job="kubelet"}`, stopped) {
		for _, p := range s.points {
			if p.value == 0 {
				lasted = min(lasted, p.at.Sub(stopped))
			}
		}
	}
	node.figures.add("without the API server for 2 min", "pods and kube-proxy are scraped all the time, the kubelet lets its pages be read for %.0f s", lasted.Seconds())
	node.daemon(t, "start", "kube-apiserver")
	eventually(t, time.Minute, "the API server is ready", func() (bool, string) {
		_, err := node.kubectl(t.Context(), "get", "--raw", "/readyz")
		return err == nil, fmt.Sprint(err)
	})
	back := time.Now()
	eventually(t, time.Minute, "the kubelet's pages are scraped", func() (bool, string) {
		found := instant(t, fmt.Sprintf(`count(timestamp(up{job="kubelet"} == 1) > %.3f) == 4`, float64(back.UnixMilli())/1000))
		return len(found) == 1, fmt.Sprint(instant(t, `up{job="kubelet"}`))
	})
	wantSteady(t, began, 0)
}

// noRequests counts what kinglet asked of the API server all the while, and what
// the kubelet asked on its behalf.
func noRequests(t *testing.T) {
	var span struct {
		Metadata struct{ CreationTimestamp time.Time }
	}
	node.get(t, &span, "-n", "kinglet", "ds", "kinglet")
	hours := time.Since(span.Metadata.CreationTimestamp).Hours()
	own := audited(t, func(e event) bool { return e.User.Username == account })
	for _, e := range own {
		t.Errorf("kinglet asked the API server at %v: %s %s", e.StageTime, e.Verb, e.RequestURI)
	}
	reviews := audited(t, func(e event) bool { return e.RequestObject.Spec.User == account })
	node.figures.add("requests to the API server", "%.1f an hour by kinglet; %.0f an hour by the kubelet, to learn what kinglet may see", float64(len(own))/hours, float64(len(reviews))/hours)
}

// apiServerAsSource has kinglet watch the pods of its node, with the permission
// that the component pods-api gives, and sees an annotation come and go.
func apiServerAsSource(t *testing.T) {
	const configMap, file = "kinglet-input-pods", "pods.toml"
	began := time.Now()
	var shipped struct{ Data map[string]string }
	node.get(t, &shipped, "-n", "kinglet", "configmap", configMap)
	node.must(t, "apply", "-f", "../../k8s/deploy/components/pods-api/rbac.yaml")
	patchConfigMap(t, configMap, file, strings.Replace(shipped.Data[file], "[[instances]]", "[[instances]]\nsource = \"api\"", 1))
	wantSource(t, "api")
	watching := time.Now()

	node.must(t, "-n", "apps", "annotate", "pod", "silent", "prometheus.io/scrape=true", "prometheus.io/port=8080")
	annotated := time.Now()
	one(t, 5*time.Second, `sample_scrapes_total{pod="silent"}`)
	node.figures.add("a pod that is annotated, by a watch", "its first sample is stored %.1f s later", time.Since(annotated).Seconds())
	node.must(t, "-n", "apps", "annotate", "pod", "silent", "prometheus.io/scrape-", "prometheus.io/port-")
	eventually(t, interval, "the series end with the annotation", func() (bool, string) {
		found := instant(t, `{__name__=~"up|scrape_.+|sample_.+",pod="silent"}`)
		return len(found) == 0, fmt.Sprint(found)
	})
	pause(t, 2*interval)
	requests := audited(t, func(e event) bool { return e.User.Username == account })
	for _, e := range requests {
		if !strings.Contains(e.RequestURI, "spec.nodeName%3Dnode1") {
			t.Errorf("kinglet asked for more than the pods of its node: %s %s", e.Verb, e.RequestURI)
		}
	}
	if len(requests) == 0 {
		t.Error("the audit log has none of the requests that were made")
	}
	node.figures.add("requests to the API server, as the source", "%d in the first %.0f s", len(requests), time.Since(watching).Seconds())

	patchConfigMap(t, configMap, file, shipped.Data[file])
	wantSource(t, "kubelet")
	node.must(t, "delete", "-f", "../../k8s/deploy/components/pods-api/rbac.yaml")
	wantSteady(t, began, 0)
}

// wantSource waits until kinglet has its pods from there.
func wantSource(t *testing.T, source string) {
	t.Helper()
	eventually(t, 15*time.Second, "the pods come from "+source, func() (bool, string) {
		page, err := node.ask("/pods")
		return err == nil && strings.Contains(page, fmt.Sprintf(`"source": %q`, source)), page
	})
}

// nothingLost looks at every pod that was ever scraped.
func nothingLost(t *testing.T) {
	for _, name := range []string{"refused", "finished", "outside"} {
		wantNeverScraped(t, name)
	}
	runs := scrapesOf(t, `pod!=""`, time.Now().Add(-time.Hour))
	scrapes := 0
	for run, points := range runs {
		wantConsecutive(t, run, points, time.Hour)
		if points[0].value != 1 {
			t.Errorf("%s: the first scrape that arrived is number %v", run, points[0].value)
		}
		scrapes += len(points)
	}
	node.figures.add("scrapes of pods", "%d of %d targets, each of which arrived", scrapes, len(runs))
}
