package k8s_test

import (
	"os"
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

func TestKustomizationListsEveryManifest(t *testing.T) {
	text, err := os.ReadFile("deploy/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var k struct {
		APIVersion string   `json:"apiVersion"`
		Kind       string   `json:"kind"`
		Namespace  string   `json:"namespace"`
		Resources  []string `json:"resources"`
		Images     []struct {
			Name   string `json:"name"`
			NewTag string `json:"newTag"`
		} `json:"images"`
	}
	if err := yaml.UnmarshalStrict(text, &k); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("deploy/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := filepath.Base(file); name != "kustomization.yaml" && !slices.Contains(k.Resources, name) {
			t.Errorf("%s is not listed", name)
		}
	}
	if len(k.Resources) != len(files)-1 {
		t.Errorf("%d resources are listed, there are %d files", len(k.Resources), len(files)-1)
	}
	m := deployed(t)
	if d := theDaemonSet(t, m); k.Namespace != d.Namespace || k.Namespace != m.namespaces[0].Name {
		t.Errorf("namespace %q, the DaemonSet's is %q", k.Namespace, d.Namespace)
	}
}

func TestDaemonSetReachesEveryNodeAndItsLoopback(t *testing.T) {
	m := deployed(t)
	d := theDaemonSet(t, m)
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
	for name, want := range map[string]string{"HOSTNAME": "node-7", "HOSTIP": "10.0.0.7"} {
		if got, _ := podEnv(d, "node-7")(name); got != want {
			t.Errorf("%s is %q on node-7, want %q", name, got, want)
		}
	}
	if grace := *pod.TerminationGracePeriodSeconds; grace < 10 {
		t.Errorf("%d s to stop: want more than the drain takes", grace)
	}
	if !slices.ContainsFunc(m.serviceAccounts, func(a *corev1.ServiceAccount) bool {
		return a.Name == pod.ServiceAccountName && a.Namespace == d.Namespace
	}) {
		t.Errorf("no service account %q", pod.ServiceAccountName)
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Error("a token is mounted that nothing needs")
	}
}

func TestDaemonSetHasNoPrivileges(t *testing.T) {
	d := theDaemonSet(t, deployed(t))
	pod, c := d.Spec.Template.Spec, d.Spec.Template.Spec.Containers[0]
	if s := pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser != 65532 ||
		s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("security of the pod: %+v", s)
	}
	s := c.SecurityContext
	if s == nil || s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 ||
		s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem ||
		s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Privileged != nil && *s.Privileged {
		t.Errorf("security of the container: %+v", s)
	}
	for _, v := range pod.Volumes {
		if v.HostPath != nil {
			t.Errorf("volume %s is a folder of the host", v.Name)
		}
	}
}

func TestDaemonSetIsBounded(t *testing.T) {
	c := theDaemonSet(t, deployed(t)).Spec.Template.Spec.Containers[0]
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		request, limit := c.Resources.Requests[name], c.Resources.Limits[name]
		if request.IsZero() || limit.IsZero() || request.Cmp(limit) > 0 {
			t.Errorf("%s: request %s, limit %s", name, &request, &limit)
		}
	}
	for name, probe := range map[string]*corev1.Probe{"/-/healthy": c.LivenessProbe, "/-/ready": c.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != name || probe.HTTPGet.Host != "127.0.0.1" {
			t.Errorf("probe of %s: %+v", name, probe)
		}
	}
}

func TestVolumesAndMountsAgree(t *testing.T) {
	m := deployed(t)
	d := theDaemonSet(t, m)
	volumes := map[string]string{}
	for _, v := range d.Spec.Template.Spec.Volumes {
		if v.ConfigMap == nil {
			t.Errorf("volume %s is no ConfigMap", v.Name)
			continue
		}
		volumes[v.Name] = v.ConfigMap.Name
		if cm := m.configMaps[v.ConfigMap.Name]; cm == nil || cm.Namespace != d.Namespace {
			t.Errorf("volume %s: there is no ConfigMap %s in %s", v.Name, v.ConfigMap.Name, d.Namespace)
		}
	}
	for _, vm := range d.Spec.Template.Spec.Containers[0].VolumeMounts {
		if volumes[vm.Name] == "" || !vm.ReadOnly {
			t.Errorf("mount %s: want a read-only volume", vm.Name)
		}
		delete(volumes, vm.Name)
	}
	if len(volumes) > 0 {
		t.Errorf("volumes that are not mounted: %v", volumes)
	}
}

func TestLivenessIsPatient(t *testing.T) {
	p := theDaemonSet(t, deployed(t)).Spec.Template.Spec.Containers[0].LivenessProbe
	if d := time.Duration(p.PeriodSeconds*p.FailureThreshold) * time.Second; d < 30*time.Second {
		t.Errorf("the container is killed after %v", d)
	}
}
