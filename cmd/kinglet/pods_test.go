package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kinglet/inputs/pods"
	"kinglet/internal/tree"
)

// aReport is of a node with a pod of each kind.
func aReport() pods.Report {
	return pods.Report{
		Sources: []pods.SourceReport{{Node: "node1", Source: "kubelet", Pods: 3, Updated: time.Now()}},
		Pods: []pods.Verdict{
			{Instance: 1, Namespace: "kube-system", Pod: "dns-x", Code: pods.NoAnnotation, Reason: "it has no annotation\nprometheus.io/scrape"},
			{Instance: 1, Namespace: "shop", Pod: "api", Container: "c", Port: 80, Scraped: true, Code: pods.Scraped, Reason: "scraped", URL: "http://10.0.0.1:80/metrics", Health: "up"},
			{Instance: 1, Namespace: "shop", Pod: "web", Container: "c", Port: 8080, Scraped: true, Code: pods.Scraped, Reason: "scraped", URL: "http://10.0.0.2:8080/metrics",
				Health: "down", Error: "connection refused"},
		},
	}
}

// answering is a kinglet that gives a report, or a status.
func answering(t *testing.T, report pods.Report, status int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status != http.StatusOK || r.URL.Path != "/pods" {
			http.Error(w, noPodsInput, status)
			return
		}
		_ = json.NewEncoder(w).Encode(report)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// kingletPods runs the subcommand.
func kingletPods(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"pods"}, args...), process{stdout: &out, stderr: &errs, getenv: func(string) (string, bool) { return "", false }})
	return code, out.String(), errs.String()
}

const podsTable = `node node1: 3 pods, from the kubelet 0s ago
NAMESPACE    POD    CONTAINER  PORT  STATE    WHY
kube-system  dns-x  -          -     skipped  it has no annotation prometheus.io/scrape
shop         api    c          80    up       http://10.0.0.1:80/metrics
shop         web    c          8080  down     http://10.0.0.2:8080/metrics: connection refused
`

func TestPodsPrintsATable(t *testing.T) {
	url := answering(t, aReport(), http.StatusOK)
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"all", nil, exitOK, podsTable},
		{"a namespace", []string{"--namespace", "shop"}, exitOK, `node node1: 3 pods, from the kubelet 0s ago
NAMESPACE  POD  CONTAINER  PORT  STATE  WHY
shop       api  c          80    up     http://10.0.0.1:80/metrics
shop       web  c          8080  down   http://10.0.0.2:8080/metrics: connection refused
`},
		{"a name, in part or in full", []string{"-n", "shop", "shop/api", "dns"}, exitOK, `node node1: 3 pods, from the kubelet 0s ago
NAMESPACE  POD  CONTAINER  PORT  STATE  WHY
shop       api  c          80    up     http://10.0.0.1:80/metrics
`},
		{"a name that is not there", []string{"nothing"}, exitFailure, `node node1: 3 pods, from the kubelet 0s ago
NAMESPACE  POD  CONTAINER  PORT  STATE  WHY
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, _ := kingletPods(t, append([]string{"-url", url}, tt.args...)...)
			if diff := cmp.Diff(tt.want, out); diff != "" || code != tt.code {
				t.Errorf("code %d, want %d (-want +got):\n%s", code, tt.code, diff)
			}
		})
	}
}

func TestPodsOfSeveralInstances(t *testing.T) {
	r := aReport()
	r.Sources[0] = pods.SourceReport{Source: "api", Pods: 1, KubeletRefuses: "403", Error: "timeout"}
	second := r.Pods[1]
	second.Instance, second.Scraped, second.Reason = 2, false, "its labels do not match"
	other := pods.Verdict{Instance: 2, Namespace: "shop", Pod: "worker", Reason: "it has finished"}
	r.Pods = []pods.Verdict{r.Pods[1], second, other}
	url := answering(t, r, http.StatusOK)
	_, out, _ := kingletPods(t, "-url", url)
	want := `node (name unknown): 1 pods, from the API server; the kubelet is not asked: 403; timeout
NAMESPACE  POD     CONTAINER  PORT  STATE    INSTANCE  WHY
shop       api     c          80    up       1         http://10.0.0.1:80/metrics
shop       worker  -          -     skipped  2         it has finished
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, out, _ = kingletPods(t, "-url", url, "-all"); !strings.Contains(out, "its labels do not match") {
		t.Errorf("with -all:\n%s", out)
	}
}

func TestPodsLeavesTheTerminalAlone(t *testing.T) {
	r := aReport()
	r.Pods[0].Pod, r.Pods[0].Reason, r.Sources[0].Error = "dns\x1b[31m", "\x1b]0;title\a", "\x1b[2J"
	_, out, _ := kingletPods(t, "-url", answering(t, r, http.StatusOK))
	if strings.ContainsAny(out, "\x1b\a") || !strings.Contains(out, "dns?[31m") {
		t.Errorf("%q", out)
	}
}

func TestPodsPrintsJSON(t *testing.T) {
	code, out, _ := kingletPods(t, "-url", answering(t, aReport(), http.StatusOK), "-json", "web")
	var got pods.Report
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitOK {
		t.Fatalf("code %d, %v", code, err)
	}
	if len(got.Pods) != 1 || got.Pods[0].Pod != "web" || got.Pods[0].Health != "down" {
		t.Errorf("%+v", got.Pods)
	}
}

func TestPodsSaysWhyItCannotSay(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"nobody answers", []string{"-url", gone.URL}, exitFailure, "kinglet: no kinglet answers at " + gone.URL + ": "},
		{"no input", []string{"-url", answering(t, pods.Report{}, http.StatusNotFound)}, exitFailure, "this kinglet has no input.pods"},
		{"no configuration", []string{"-configs", "/nowhere"}, exitFailure, "kinglet: "},
		{"a bad flag", []string{"-x"}, exitUsage, "kinglet: flag provided but not defined: -x; see `kinglet pods -help`"},
		{"help", []string{"-help"}, exitOK, "usage: kinglet pods [flags] [NAME...]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errs := kingletPods(t, tt.args...)
			if code != tt.code || out != "" || !strings.Contains(errs, tt.want) {
				t.Errorf("code %d, %q; want %d, %q", code, errs, tt.code, tt.want)
			}
		})
	}
}

func TestPodsAsksTheConfiguredListener(t *testing.T) {
	url := answering(t, aReport(), http.StatusOK)
	dir := t.TempDir()
	config := "[serve]\nlisten = \"" + strings.TrimPrefix(url, "http://") + "\"\n[[writers]]\nurl = \"http://127.0.0.1:1/\"\n"
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := kingletPods(t, "-configs", dir); code != exitOK || out != podsTable {
		t.Errorf("code %d, %s%s", code, out, errs)
	}
	for listen, want := range map[string]string{
		":9559": "http://127.0.0.1:9559", "0.0.0.0:9559": "http://127.0.0.1:9559", "[::]:1": "http://[::1]:1", "10.0.0.1:2": "http://10.0.0.1:2", "": "",
	} {
		if got, err := listenerURL(listen); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %s, %v", listen, got, err)
		}
	}
}

// TestPodsOfTheNodeAreCollected runs the whole program: pods that ask are
// scraped, one on the host's network among them; those that do not, and
// finished ones, are not.
func TestPodsOfTheNodeAreCollected(t *testing.T) {
	page := node(t, func() string { return "b_total 1\n" })
	port := page.URL[strings.LastIndex(page.URL, ":")+1:]
	pod := func(name, phase, annotations, more string) string {
		return fmt.Sprintf(`{"metadata":{"namespace":"shop","name":%q,"uid":%q,"annotations":{"kubernetes.io/config.source":"api"%s}},`+
			`"spec":{"nodeName":"node-1"%s,"containers":[{"name":"c","ports":[{"containerPort":%s}]}]},`+
			`"status":{"phase":%q,"podIP":"127.0.0.1","containerStatuses":[{"name":"c","state":{"running":{}}}]}}`,
			name, name, annotations, more, port, phase)
	}
	const asks = `,"prometheus.io/scrape":"true"`
	kubelet := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"items":[%s,%s,%s,%s]}`, pod("a", "Running", asks, ""), pod("c", "Running", "", ""), pod("d", "Succeeded", asks, ""),
			pod("e", "Running", asks+`,"prometheus.io/path":"/other?x=y"`, `,"hostNetwork":true`))
	}))
	defer kubelet.Close()
	remote, listen := newStore(t), freeAddress(t)
	dir := tree.Make(t, map[string]string{
		"config.toml":          mainConfig(listen, remote.URL),
		"input.pods/pods.toml": fmt.Sprintf("[[instances]]\nkubelet_url = %q\nnode_name = \"$HOSTNAME\"\n", kubelet.URL),
	})
	k := start(t, "-configs", dir)
	for _, name := range []string{"a", "e"} {
		eventually(t, "pod "+name+" is scraped", func() bool {
			_, ok := remote.value(fmt.Sprintf(
				`b_total{agent_hostname="node-1",container="c",instance="127.0.0.1:%s",job="kubernetes-pods",namespace="shop",node="node-1",pod=%q}`, port, name))
			return ok
		})
	}
	eventually(t, "kinglet is ready", func() bool { code, _ := fetch(t, "GET", "http://"+listen+"/-/ready"); return code == 200 })
	code, out, errs := kingletPods(t, "-url", "http://"+listen, "-n", "shop")
	var states []string
	for line := range strings.Lines(out) {
		if cells := strings.Fields(line); len(cells) > 4 && cells[0] == "shop" {
			states = append(states, cells[1]+" "+cells[4])
		}
	}
	if diff := cmp.Diff([]string{"a up", "c skipped", "d skipped", "e up"}, states); diff != "" || code != exitOK {
		t.Errorf("code %d, %s (-want +got):\n%s", code, errs, diff)
	}
	if code := k.end(); code != exitOK {
		t.Errorf("exit code %d: %s", code, k.stderr)
	}
}
