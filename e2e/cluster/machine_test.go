//go:build e2e

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"kinglet/e2e/harness"
)

// machine is the cluster's one node, in whose network these tests run.
type machine struct {
	work    string // folder of the cluster
	scripts string // folder k8s/cluster
	figures figures
}

// deploy starts the receiver, kinglet and the pods to find, and waits for them.
func (m *machine) deploy(ctx context.Context) error {
	for _, file := range []string{"receiver.yaml", "pods.yaml"} {
		if _, err := m.kubectl(ctx, "apply", "-f", "manifests/"+file); err != nil {
			return err
		}
	}
	if err := m.issueCertificate(ctx); err != nil {
		return err
	}
	for _, command := range []string{
		"-n receiver rollout status deploy/prometheus --timeout=120s --request-timeout=0",
		"-n apps wait --for=condition=Ready pod/plain pod/host pod/two-ports pod/path pod/https --timeout=120s --request-timeout=0",
		"-n apps wait --for=jsonpath={.status.phase}=Succeeded pod/finished --timeout=120s --request-timeout=0", // it ran for a moment
		"apply -k manifests/kinglet",
		"-n kinglet rollout status ds/kinglet --timeout=120s --request-timeout=0",
	} {
		if _, err := m.kubectl(ctx, strings.Fields(command)...); err != nil {
			return err
		}
	}
	return nil
}

// state is what helps to see why nothing works.
func (m *machine) state() string {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var b strings.Builder
	for _, command := range []string{
		"get pods -A -o wide",
		"-n kinglet describe pods",
		"-n kinglet logs ds/kinglet --tail=60",
	} {
		out, err := m.kubectl(ctx, strings.Fields(command)...)
		fmt.Fprintf(&b, "== kubectl %s\n%s\n", command, out)
		if err != nil {
			fmt.Fprintln(&b, err)
		}
	}
	return b.String()
}

// kubectl runs it and returns what it prints.
func (m *machine) kubectl(ctx context.Context, args ...string) (string, error) {
	return m.command(ctx, nil, "kubectl", append([]string{"--request-timeout=20s"}, args...)...)
}

func (m *machine) command(ctx context.Context, in io.Reader, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &complaints
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, strings.TrimSpace(complaints.String()))
	}
	return out.String(), nil
}

// must runs kubectl and ends the test if it fails.
func (m *machine) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := m.kubectl(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// get decodes what `kubectl get ... -o json` prints.
func (m *machine) get(t *testing.T, into any, args ...string) {
	t.Helper()
	if err := json.Unmarshal([]byte(m.must(t, append([]string{"get", "-o", "json"}, args...)...)), into); err != nil {
		t.Fatalf("kubectl get %s: %v", strings.Join(args, " "), err)
	}
}

// daemon stops, starts or restarts one of the node's daemons.
func (m *machine) daemon(t *testing.T, what, name string) {
	t.Helper()
	if _, err := m.command(t.Context(), nil, filepath.Join(m.scripts, "daemon"), m.work, what, name); err != nil {
		t.Fatal(err)
	}
}

// inside runs a command in all of the node's namespaces, among its processes
// and files.
func (m *machine) inside(t *testing.T, args ...string) string {
	t.Helper()
	out, err := m.command(t.Context(), nil, filepath.Join(m.scripts, "node-exec"), append([]string{"--all", m.work}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// kubeletFile is where the node has a file of the kubelet's, such as a volume.
func (m *machine) kubeletFile(path ...string) string {
	return filepath.Join(append([]string{m.work, "state/var/lib/kubelet"}, path...)...)
}

// pod is what these tests read of one.
type pod struct {
	Metadata struct {
		Name, Namespace, UID string
		DeletionTimestamp    string
	}
	Spec struct {
		Volumes []struct {
			Name      string
			ConfigMap struct{ Name string }
		}
	}
	Status struct{ Phase, PodIP string }
}

// agent is kinglet's pod, the one that is not on its way out.
func (m *machine) agent(t *testing.T) pod {
	t.Helper()
	var list struct{ Items []pod }
	m.get(t, &list, "-n", "kinglet", "pods", "-l", "app.kubernetes.io/name=kinglet")
	var running []pod
	for _, p := range list.Items {
		if p.Metadata.DeletionTimestamp == "" {
			running = append(running, p)
		}
	}
	if len(running) != 1 {
		t.Fatalf("%d pods of kinglet, want one", len(running))
	}
	return running[0]
}

// ask fetches a page of kinglet's own, on the node's loopback.
func (m *machine) ask(path string) (string, error) {
	return harness.Get("http://127.0.0.1:9559" + path)
}

// figures are what was measured, printed when all is done.
type figures struct {
	mu   sync.Mutex
	rows [][2]string
}

// add notes a figure.
func (f *figures) add(what, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows = append(f.rows, [2]string{what, fmt.Sprintf(format, args...)})
}

func (f *figures) print(out io.Writer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nfigures:")
	for _, row := range f.rows {
		fmt.Fprintf(w, "  %s\t%s\n", row[0], row[1])
	}
	_ = w.Flush() // to a terminal or a log
}
