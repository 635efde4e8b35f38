package k8s_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"kinglet"
	"kinglet/inputs"
	"kinglet/inputs/kubelet"
	"kinglet/inputs/pods"
)

// drain takes rows and forgets them.
type drain struct{}

func (drain) Push(context.Context, ...*kinglet.Row) error { return nil }

// asked collects what a server was asked for, as the verb and resource that a
// kubelet or an API server has it checked as.
type asked struct {
	mu  sync.Mutex
	all []string
}

func (a *asked) add(permission string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.all, permission) {
		a.all = append(a.all, permission)
	}
}

func (a *asked) sorted() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(slices.Values(a.all))
}

// kubeletPermission is how a kubelet of Kubernetes 1.36 has a request checked.
// It is written down here once more, from its documentation: what kinglet takes
// it for is what is tested.
func kubeletPermission(r *http.Request) string {
	verb := map[string]string{http.MethodGet: "get", http.MethodPost: "create"}[r.Method]
	for prefix, resource := range map[string]string{
		"/metrics": "nodes/metrics", "/stats": "nodes/stats", "/logs": "nodes/log", "/spec": "nodes/spec", "/healthz": "nodes/healthz",
		"/pods": "nodes/pods", "/runningpods": "nodes/pods", "/configz": "nodes/configz", "/checkpoint": "nodes/checkpoint",
	} {
		if r.URL.Path == prefix || strings.HasPrefix(r.URL.Path, prefix+"/") {
			return verb + " " + resource
		}
	}
	return verb + " nodes/proxy"
}

func inputSettings() inputs.Settings {
	return inputs.Settings{Hostname: "node-7", Interval: 15 * time.Second, Precision: time.Millisecond, MaxColumns: 1000, UserAgent: "kinglet/test"}
}

// apiPermission is how the API server has a request checked.
func apiPermission(r *http.Request) string {
	verb := map[string]string{http.MethodGet: "list", http.MethodPost: "create"}[r.Method]
	if r.URL.Query().Has("watch") {
		verb = "watch"
	}
	resource, ok := strings.CutPrefix(r.URL.Path, "/api/v1/")
	if !ok || strings.Contains(resource, "/") || r.URL.Query().Get("fieldSelector") != "spec.nodeName=node-7" {
		return verb + " " + r.URL.String()
	}
	return verb + " " + resource
}

// ofKubelet is what the inputs ask the kubelet for, as they are by default.
func ofKubelet(t *testing.T) []string {
	t.Helper()
	var taken asked
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		taken.add(kubeletPermission(r))
		if r.URL.Path == "/pods" {
			io.WriteString(w, `{"kind":"PodList","apiVersion":"v1","items":[]}`)
		}
	}))
	defer server.Close()
	pages := kubelet.DefaultConfig()
	pages.URL, pages.InsecureSkipVerify, pages.CAFile, pages.TokenFile = server.URL, true, "", "testdata/token"
	scraped, err := kubelet.New([]kubelet.Config{pages}, inputSettings(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	list := pods.DefaultConfig()
	list.NodeName, list.KubeletURL, list.KubeletInsecureSkipVerify, list.KubeletCAFile, list.KubeletTokenFile = "node-7", server.URL, true, "", "testdata/token"
	found, err := pods.New([]pods.Config{list}, inputSettings(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for _, input := range []inputs.Input{scraped, found} {
		if _, err := input.Once(t.Context(), drain{}); err != nil {
			t.Fatal(err)
		}
	}
	return taken.sorted()
}

// ofAPIServer is what the pods of this node are asked for where the kubelet may
// not be asked: a list, and a watch from there.
func ofAPIServer(t *testing.T) []string {
	t.Helper()
	var taken asked
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		taken.add(apiPermission(r))
		w.Header().Set("Content-Type", "application/json")
		if !r.URL.Query().Has("watch") {
			io.WriteString(w, `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[]}`)
		} else if slices.Contains(taken.sorted(), "list pods") { // the last thing it does
			cancel()
		}
	}))
	defer server.Close()
	cfg := pods.DefaultConfig()
	cfg.Source, cfg.NodeName, cfg.APIURL = "api", "node-7", server.URL
	in, err := pods.New([]pods.Config{cfg}, inputSettings(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Run(ctx, drain{}); err != nil {
		t.Fatal(err)
	}
	return taken.sorted()
}

// granted is what the roles of a variant allow, one permission a string.
func granted(t *testing.T, roles []*rbacv1.ClusterRole) []string {
	t.Helper()
	var all []string
	for _, role := range roles {
		if role.AggregationRule != nil {
			t.Errorf("%s grows by labels of others", role.Name)
		}
		for _, rule := range role.Rules {
			if !slices.Equal(rule.APIGroups, []string{""}) || len(rule.NonResourceURLs) > 0 || len(rule.ResourceNames) > 0 {
				t.Errorf("%s has the rule %+v", role.Name, rule)
			}
			for _, verb := range rule.Verbs {
				for _, resource := range rule.Resources {
					all = append(all, verb+" "+resource)
				}
			}
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(all)))
}

func TestRBACIsWhatTheProgramAsksFor(t *testing.T) {
	fromKubelet, fromAPIServer := ofKubelet(t), ofAPIServer(t)
	if t.Failed() {
		return
	}
	both := 0
	eachRendering(t, func(t *testing.T, m manifests, _ *appsv1.DaemonSet) {
		want := fromKubelet
		if slices.ContainsFunc(m.clusterRoles, func(r *rbacv1.ClusterRole) bool { return strings.HasSuffix(r.Name, "-pods") }) {
			want = slices.Sorted(slices.Values(slices.Concat(fromKubelet, fromAPIServer)))
			both++
		}
		if diff := cmp.Diff(want, granted(t, m.clusterRoles)); diff != "" {
			t.Errorf("permissions (-asked for +granted):\n%s", diff)
		}
	})
	if both == 0 {
		t.Error("no variant may ask the API server")
	}
}

func TestRolesAreBoundToKingletAlone(t *testing.T) {
	eachRendering(t, func(t *testing.T, m manifests, d *appsv1.DaemonSet) {
		name := d.Spec.Template.Spec.ServiceAccountName
		if len(m.serviceAccounts) != 1 || m.serviceAccounts[0].Name != name || m.serviceAccounts[0].Namespace != d.Namespace {
			t.Fatalf("service accounts %+v, want %s", m.serviceAccounts, name)
		}
		if a := m.serviceAccounts[0].AutomountServiceAccountToken; a == nil || *a {
			t.Error("every pod of that account gets its token")
		}
		if a := d.Spec.Template.Spec.AutomountServiceAccountToken; a == nil || !*a {
			t.Error("the pods have no token")
		}
		var bound []string
		for _, b := range m.bindings {
			want := []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: d.Namespace}}
			if diff := cmp.Diff(want, b.Subjects); diff != "" {
				t.Errorf("%s is for others: %s", b.Name, diff)
			}
			bound = append(bound, b.RoleRef.Name)
		}
		var roles []string
		for _, r := range m.clusterRoles {
			roles = append(roles, r.Name)
		}
		slices.Sort(bound)
		slices.Sort(roles)
		if !slices.Equal(bound, roles) {
			t.Errorf("roles %v, bound %v", roles, bound)
		}
	})
}
