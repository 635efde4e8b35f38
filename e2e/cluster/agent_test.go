//go:build e2e

package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// steady selects the pods that nothing happens to.
const steady = `pod=~"plain|host|two-ports|path|https"`

// agentMemory is the limit of kinglet's container in bytes.
const agentMemory = 64 << 20

// processStatus is /proc/PID/status of kinglet's process.
func processStatus(t *testing.T) (pid string, fields map[string]string) {
	t.Helper()
	pid = strings.TrimSpace(node.inside(t, "pidof", "-s", "/kinglet"))
	fields = map[string]string{}
	for line := range strings.Lines(node.inside(t, "cat", "/proc/"+pid+"/status")) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.Join(strings.Fields(value), " ")
	}
	return pid, fields
}

// noPrivileges reads what the kernel lets kinglet's process do.
func noPrivileges(t *testing.T) {
	pid, status := processStatus(t)
	const none = "0000000000000000"
	for field, want := range map[string]string{
		"Uid": "65532 65532 65532 65532", "Gid": "65532 65532 65532 65532",
		"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none,
		"NoNewPrivs": "1",
		"Seccomp":    "2", // a filter: the runtime's default
	} {
		if status[field] != want {
			t.Errorf("%s is %q, want %q", field, status[field], want)
		}
	}
	root := ""
	for line := range strings.Lines(node.inside(t, "cat", "/proc/"+pid+"/mounts")) {
		if f := strings.Fields(line); f[1] == "/" {
			root = f[3]
		}
	}
	if !strings.HasPrefix(root, "ro,") {
		t.Errorf("the root file system is mounted %q, want ro", root)
	}
	var agent struct{ Spec map[string]any }
	node.get(t, &agent, "-n", "kinglet", "pod", node.agent(t).Metadata.Name)
	text, err := json.Marshal(agent.Spec)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"limits":{"cpu":"200m","memory":"64Mi"}`) || !strings.Contains(string(text), `"seccompProfile":{"type":"RuntimeDefault"}`) {
		t.Errorf("the pod is not limited to 64 MiB, or not to the runtime's system calls: %s", text)
	}
	if limit := cgroupValue(t, pid, "memory.limit_in_bytes", "memory.max"); limit != agentMemory {
		t.Errorf("its cgroup may take %d bytes, want %d", limit, agentMemory)
	}
}

// cgroupValue reads a number of the memory cgroup of a process of the node's, by
// its name in version 1 and in version 2.
func cgroupValue(t *testing.T, pid, v1, v2 string) int64 {
	t.Helper()
	for line := range strings.Lines(node.inside(t, "cat", "/proc/"+pid+"/cgroup")) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		file := ""
		switch {
		case parts[1] == "memory":
			file = "/sys/fs/cgroup/memory" + parts[2] + "/" + v1
		case parts[0] == "0" && parts[1] == "":
			file = "/sys/fs/cgroup" + parts[2] + "/" + v2
		}
		text, err := os.ReadFile(file)
		if file == "" || err != nil {
			continue
		}
		value, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	t.Fatalf("process %s has no memory cgroup", pid)
	return 0
}

// memoryFigures notes what kinglet takes: by the receiver's word, and by the
// kernel's.
func memoryFigures(t *testing.T, when string) {
	t.Helper()
	pid, status := processStatus(t)
	resident, _, _ := strings.Cut(status["VmRSS"], " ")
	kib, err := strconv.Atoi(resident)
	if err != nil {
		t.Fatalf("VmRSS: %v", err)
	}
	peak := cgroupValue(t, pid, "memory.max_usage_in_bytes", "memory.peak")
	node.figures.add("kinglet's memory "+when, "%.1f MiB resident, its container %.1f MiB at most so far", float64(kib)/1024, float64(peak)/(1<<20))
	if peak >= agentMemory {
		t.Errorf("the container took all of its %d bytes", agentMemory)
	}
}

// containerd is a file that changedConfigMap adds.
const containerd = `
[[instances]]
urls = ["http://127.0.0.1:1338/v1/metrics"]
labels = { job="containerd" }
`

// changedConfigMap adds a target and takes it away again.
func changedConfigMap(t *testing.T) {
	began := time.Now()
	for _, change := range []struct {
		what string
		text any // of the file; nil is none
	}{
		{"a target that was added is scraped", containerd},
		{"a target that was taken away is not", nil},
	} {
		patchConfigMap(t, "kinglet-input-prometheus", "containerd.toml", change.text)
		there := change.text != nil
		took := eventually(t, 10*time.Second, change.what, func() (bool, string) {
			page, err := node.ask("/targets")
			return err == nil && strings.Contains(page, ":1338/") == there, page
		})
		node.figures.add(change.what, "%.1f s after the ConfigMap's volume changed", took.Seconds())
		eventually(t, 3*interval, "the receiver sees it: "+change.what, func() (bool, string) {
			found := instant(t, `up{job="containerd"}`)
			return (len(found) == 1) == there, fmt.Sprint(found)
		})
	}
	wantSteady(t, began, 0)
}

// patchConfigMap gives a file of a ConfigMap another text, or takes it away if
// that is nil, and returns when the volume of kinglet's pod has changed.
func patchConfigMap(t *testing.T, name, file string, text any) {
	t.Helper()
	volume := configMapVolume(t, name)
	version := func() string { to, _ := os.Readlink(volume); return to }
	old := version()
	patch, err := json.Marshal(map[string]any{"data": map[string]any{file: text}})
	if err != nil {
		t.Fatal(err)
	}
	node.must(t, "-n", "kinglet", "patch", "configmap", name, "--type=merge", "-p", string(patch))
	eventually(t, 2*time.Minute, "the volume changes", func() (bool, string) { return version() != old, old })
}

// configMapVolume is the link in the volume of kinglet's pod that is replaced
// when the ConfigMap changes.
func configMapVolume(t *testing.T, name string) string {
	t.Helper()
	agent := node.agent(t)
	for _, v := range agent.Spec.Volumes {
		if v.ConfigMap.Name == name {
			return node.kubeletFile("pods", agent.Metadata.UID, "volumes/kubernetes.io~configmap", v.Name, "..data")
		}
	}
	t.Fatalf("kinglet's pod has no volume of the ConfigMap %s", name)
	return ""
}

// wantSteady wants that since then the pods that nothing happened to, and
// kube-proxy, were scraped at every interval, with no scrape lost, and that
// scrapes were away for no longer than that. It returns the longest absence.
func wantSteady(t *testing.T, since time.Time, away time.Duration) time.Duration {
	t.Helper()
	const slack = 500 * time.Millisecond // a scrape is stamped when it begins, and is not always on time
	runs := scrapesOf(t, steady, since)
	if len(runs) != 6 {
		t.Errorf("%d runs of pods that should be steady, want 6: %v", len(runs), runs)
	}
	for _, s := range history(t, `up{job="kube-proxy"}`, since) {
		runs["kube-proxy"] = s.points
		for i := range s.points {
			if s.points[i].value != 1 {
				t.Errorf("kube-proxy was down at %v", s.points[i].at)
			}
			s.points[i].value = float64(i)
		}
	}
	var most time.Duration
	for run, scrapes := range runs {
		wantConsecutive(t, run, scrapes, interval+away+slack)
		most = max(most, widest(scrapes)-interval)
		if late := time.Since(scrapes[len(scrapes)-1].at); late > 2*interval+away {
			t.Errorf("%s: the last sample is %v old", run, late)
		}
	}
	return most
}

// killed ends kinglet's process as running out of memory does, and at once after
// a scrape: what was not sent yet is in the queue on the pod's volume.
func killed(t *testing.T) {
	before := node.agent(t).Metadata.Name
	began := time.Now().Add(-2 * interval)
	pid, _ := processStatus(t)
	node.inside(t, "kill", "-KILL", pid)
	eventually(t, 30*time.Second, "kinglet runs again", func() (bool, string) {
		out, err := node.ask("/-/ready")
		return err == nil, out + fmt.Sprint(err)
	})
	if after := node.agent(t).Metadata.Name; after != before {
		t.Fatalf("its pod is %s, and was %s", after, before)
	}
	pause(t, 3*interval)
	away := wantSteady(t, began, interval)
	node.figures.add("a kinglet that is killed", "between two scrapes of a target lay at most %.1f s more than the interval of %v", away.Seconds(), interval)
}

// rollout replaces kinglet's pod as an upgrade does.
func rollout(t *testing.T) {
	before := node.agent(t).Metadata.Name
	began := time.Now().Add(-2 * interval)
	node.must(t, "-n", "kinglet", "rollout", "restart", "ds/kinglet")
	node.must(t, "-n", "kinglet", "rollout", "status", "ds/kinglet", "--timeout=90s", "--request-timeout=0")
	if after := node.agent(t).Metadata.Name; after == before {
		t.Fatalf("%s is still there", before)
	}
	pause(t, 3*interval)
	away := wantSteady(t, began, interval)
	node.figures.add("a rollout of kinglet", "between two scrapes of a target lay at most %.1f s more than the interval of %v", away.Seconds(), interval)
}
