package k8s_test

import (
	"cmp"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// theDaemonSet is the one that is shipped.
func theDaemonSet(t *testing.T, m manifests) *appsv1.DaemonSet {
	t.Helper()
	if len(m.daemonSets) != 1 || len(m.daemonSets[0].Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("%d DaemonSets, want one with one container", len(m.daemonSets))
	}
	return m.daemonSets[0]
}

func TestEveryVariantIsRendered(t *testing.T) {
	all := renderings(t)
	overlays, err := filepath.Glob("deploy/overlays/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, overlay := range overlays {
		if _, ok := all["kustomize-"+filepath.Base(overlay)]; !ok {
			t.Errorf("%s is not rendered", overlay)
		}
	}
	used := map[string]bool{}
	tests, err := filepath.Glob("testdata/kustomize/*/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range tests {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var k struct {
			Components []string `json:"components"`
		}
		if err := yaml.Unmarshal(text, &k); err != nil {
			t.Fatal(err)
		}
		for _, component := range k.Components {
			used[path.Base(component)] = true
		}
	}
	components, err := filepath.Glob("deploy/components/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, component := range components {
		if !used[filepath.Base(component)] {
			t.Errorf("%s is not rendered", component)
		}
	}
}

func TestDaemonSetReachesEveryNodeAndItsLoopback(t *testing.T) {
	eachRendering(t, func(t *testing.T, m manifests, d *appsv1.DaemonSet) {
		pod := d.Spec.Template.Spec
		selector := labels.SelectorFromSet(d.Spec.Selector.MatchLabels)
		if !selector.Matches(labels.Set(d.Spec.Template.Labels)) {
			t.Error("the selector does not match the pods")
		}
		if !pod.HostNetwork || pod.DNSPolicy != corev1.DNSClusterFirstWithHostNet {
			t.Error("want the host's network, with the cluster's DNS")
		}
		if pod.HostPID || pod.HostIPC {
			t.Error("want no more of the host than its network")
		}
		everyTaint := corev1.Toleration{Operator: corev1.TolerationOpExists}
		if !slices.Contains(pod.Tolerations, everyTaint) {
			t.Errorf("tolerations %v, want every taint", pod.Tolerations)
		}
		if pod.PriorityClassName != "system-node-critical" {
			t.Errorf("priority %q: want the node seen when it is short of something", pod.PriorityClassName)
		}
		for name, want := range map[string]string{"HOSTNAME": "node-7", "K8S_NODENAME": "node-7", "HOSTIP": "10.0.0.7", "POD_NAMESPACE": d.Namespace} {
			if got, _ := podEnv(d, "node-7")(name); got != want {
				t.Errorf("%s is %q on node-7, want %q", name, got, want)
			}
		}
		if grace := *pod.TerminationGracePeriodSeconds; grace < 10 {
			t.Errorf("%d s to stop: want more than the drain takes", grace)
		}
		if u := d.Spec.UpdateStrategy.RollingUpdate; u == nil || u.MaxUnavailable == nil || u.MaxSurge != nil && u.MaxSurge.IntValue() > 0 {
			t.Errorf("update strategy %+v: two pods of a node cannot have one port", d.Spec.UpdateStrategy)
		}
		for _, namespace := range m.namespaces {
			if namespace.Name != d.Namespace {
				t.Errorf("the DaemonSet is in %s, not in %s", d.Namespace, namespace.Name)
			}
		}
	})
}

func TestDaemonSetHasNoPrivileges(t *testing.T) {
	eachRendering(t, func(t *testing.T, _ manifests, d *appsv1.DaemonSet) {
		pod, c := d.Spec.Template.Spec, d.Spec.Template.Spec.Containers[0]
		if s := pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser != 65532 ||
			s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("security of the pod: %+v", s)
		}
		if s := c.SecurityContext; !confined(s) || len(s.Capabilities.Add) > 0 || s.RunAsUser != nil || s.RunAsNonRoot != nil {
			t.Errorf("security of the container: %+v", s)
		}
		// One may prepare a folder of the host, with the one capability for that.
		for _, c := range pod.InitContainers {
			if s := c.SecurityContext; !confined(s) || !slices.Equal(s.Capabilities.Add, []corev1.Capability{"CHOWN"}) {
				t.Errorf("security of %s: %+v", c.Name, s)
			}
		}
	})
}

// confined is what every container has to be.
func confined(s *corev1.SecurityContext) bool {
	return s != nil && s.Capabilities != nil && slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) &&
		s.ReadOnlyRootFilesystem != nil && *s.ReadOnlyRootFilesystem &&
		s.AllowPrivilegeEscalation != nil && !*s.AllowPrivilegeEscalation && (s.Privileged == nil || !*s.Privileged)
}

func TestDaemonSetIsBounded(t *testing.T) {
	eachRendering(t, func(t *testing.T, _ manifests, d *appsv1.DaemonSet) {
		pod := d.Spec.Template.Spec
		for _, c := range append(slices.Clone(pod.InitContainers), pod.Containers...) {
			for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				request, limit := c.Resources.Requests[name], c.Resources.Limits[name]
				if request.IsZero() || limit.IsZero() || request.Cmp(limit) > 0 {
					t.Errorf("%s of %s: request %s, limit %s", name, c.Name, &request, &limit)
				}
			}
		}
		c := pod.Containers[0]
		if limit := c.Resources.Limits.Memory().Value(); limit != 64<<20 {
			t.Errorf("the memory limit is %d bytes", limit)
		}
		for name, probe := range map[string]*corev1.Probe{"/-/healthy": c.LivenessProbe, "/-/ready": c.ReadinessProbe} {
			if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != name || probe.HTTPGet.Host != "127.0.0.1" {
				t.Errorf("probe of %s: %+v", name, probe)
			}
		}
		if p := c.LivenessProbe; time.Duration(p.PeriodSeconds*p.FailureThreshold)*time.Second < 30*time.Second {
			t.Errorf("the container is killed after %d times %d s", p.FailureThreshold, p.PeriodSeconds)
		}
	})
}

// hostFolders are those of the host that a variant may mount, and whether it
// may write there.
var hostFolders = map[string]bool{
	"/var/lib/kubelet/pki/kubelet.crt": false,
	"/var/lib/kinglet":                 true,
}

func TestVolumesAndMountsAgree(t *testing.T) {
	eachRendering(t, func(t *testing.T, m manifests, d *appsv1.DaemonSet) {
		writable := map[string]bool{}
		for _, v := range d.Spec.Template.Spec.Volumes {
			switch {
			case v.ConfigMap != nil:
				writable[v.Name] = false
				if cm := m.configMaps[v.ConfigMap.Name]; cm == nil || cm.Namespace != d.Namespace {
					t.Errorf("volume %s: there is no ConfigMap %s in %s", v.Name, v.ConfigMap.Name, d.Namespace)
				}
			case v.Secret != nil:
				writable[v.Name] = false
			case v.EmptyDir != nil:
				writable[v.Name] = true
				if v.EmptyDir.SizeLimit.IsZero() {
					t.Errorf("volume %s has no limit", v.Name)
				}
			case v.HostPath != nil:
				write, known := hostFolders[v.HostPath.Path]
				if !known || v.HostPath.Type == nil || *v.HostPath.Type == corev1.HostPathUnset {
					t.Errorf("volume %s is %+v of the host", v.Name, v.HostPath)
				}
				writable[v.Name] = write
			default:
				t.Errorf("volume %s is of a kind that is not expected", v.Name)
			}
		}
		mounted := map[string]bool{}
		for _, vm := range d.Spec.Template.Spec.Containers[0].VolumeMounts {
			write, ok := writable[vm.Name]
			if !ok || vm.ReadOnly == write {
				t.Errorf("mount %s: read-only is %v", vm.Name, vm.ReadOnly)
			}
			mounted[vm.Name] = true
		}
		if diff := slices.DeleteFunc(slices.Sorted(maps.Keys(writable)), func(name string) bool { return mounted[name] }); len(diff) > 0 {
			t.Errorf("volumes that are not mounted: %v", diff)
		}
		for name := range m.configMaps {
			if !slices.ContainsFunc(d.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool { return v.ConfigMap != nil && v.ConfigMap.Name == name }) {
				t.Errorf("ConfigMap %s is not mounted", name)
			}
		}
	})
}

func TestTheQuotaAdmitsThePods(t *testing.T) {
	found := 0
	eachRendering(t, func(t *testing.T, m manifests, d *appsv1.DaemonSet) {
		for _, q := range m.quotas {
			found++
			scope := q.Spec.ScopeSelector
			if q.Namespace != d.Namespace || scope == nil || len(scope.MatchExpressions) != 1 {
				t.Fatalf("quota %+v", q)
			}
			e := scope.MatchExpressions[0]
			if e.ScopeName != corev1.ResourceQuotaScopePriorityClass || !slices.Contains(e.Values, d.Spec.Template.Spec.PriorityClassName) {
				t.Errorf("the quota is for %+v", e)
			}
			if pods := q.Spec.Hard[corev1.ResourcePods]; cmp.Compare(pods.Value(), 5000) < 0 {
				t.Errorf("the quota admits %s pods", &pods)
			}
		}
	})
	if found == 0 {
		t.Error("no variant has a quota")
	}
}
