package k8s_test

import (
	"cmp"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kinglet/inputs/pods"
)

// TestChartMakesTheSameObjects holds the chart against the kustomizations: the
// same switches, the same objects, but for the labels that helm's users expect
// and the namespace, which helm does not make.
func TestChartMakesTheSameObjects(t *testing.T) {
	all := renderings(t)
	compared := 0
	for name, chart := range all {
		variant, ok := strings.CutPrefix(name, "helm-")
		kustomized, both := all["kustomize-"+variant]
		if !ok || !both {
			continue
		}
		compared++
		t.Run(variant, func(t *testing.T) {
			if diff := gocmp.Diff(alike(kustomized), alike(chart)); diff != "" {
				t.Errorf("(-kustomize +helm):\n%s", diff)
			}
		})
	}
	kustomized, err := filepath.Glob("testdata/rendered/kustomize-*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if compared != len(kustomized) {
		t.Errorf("%d of %d kustomizations have a counterpart: want values for each in testdata/helm", compared, len(kustomized))
	}
}

// alike is what has to be equal, by kind and name.
func alike(m manifests) map[string]any {
	objects := map[string]any{}
	put := func(kind string, meta *metav1.ObjectMeta, object any) {
		forgetHelm(meta.Labels)
		objects[kind+" "+meta.Name] = object
	}
	for _, o := range m.serviceAccounts {
		put("ServiceAccount", &o.ObjectMeta, o)
	}
	for _, o := range m.configMaps {
		put("ConfigMap", &o.ObjectMeta, o)
	}
	for _, o := range m.clusterRoles {
		put("ClusterRole", &o.ObjectMeta, o)
	}
	for _, o := range m.bindings {
		put("ClusterRoleBinding", &o.ObjectMeta, o)
	}
	for _, o := range m.quotas {
		put("ResourceQuota", &o.ObjectMeta, o)
	}
	for _, o := range m.daemonSets {
		pod := &o.Spec.Template.Spec
		slices.SortFunc(pod.Volumes, func(a, b corev1.Volume) int { return cmp.Compare(a.Name, b.Name) })
		slices.SortFunc(pod.Containers[0].Env, func(a, b corev1.EnvVar) int { return cmp.Compare(a.Name, b.Name) })
		mounts := pod.Containers[0].VolumeMounts
		slices.SortFunc(mounts, func(a, b corev1.VolumeMount) int { return cmp.Compare(a.Name, b.Name) })
		forgetHelm(o.Spec.Selector.MatchLabels)
		forgetHelm(o.Spec.Template.Labels)
		put("DaemonSet", &o.ObjectMeta, o)
	}
	return objects
}

// forgetHelm takes out the labels that helm's charts have by convention.
func forgetHelm(labels map[string]string) {
	maps.DeleteFunc(labels, func(name, _ string) bool {
		return name == "helm.sh/chart" || name == "app.kubernetes.io/instance" || name == "app.kubernetes.io/version" || name == "app.kubernetes.io/managed-by"
	})
}

func TestChartTakesWhatUsersAdd(t *testing.T) {
	m := renderings(t)["helm-extra"]
	d := theDaemonSet(t, m)
	c := d.Spec.Template.Spec.Containers[0]
	if c.Image != "registry.example/kinglet:v1" || c.ImagePullPolicy != corev1.PullAlways || len(d.Spec.Template.Spec.ImagePullSecrets) != 1 {
		t.Errorf("image %s, %s", c.Image, c.ImagePullPolicy)
	}
	if d.Spec.Template.Labels["team"] != "monitoring" || d.Spec.Template.Annotations["example.com/note"] != "1" ||
		m.serviceAccounts[0].Annotations["example.com/owner"] != "monitoring" {
		t.Errorf("labels %v, annotations %v", d.Spec.Template.Labels, d.Spec.Template.Annotations)
	}
	if got, _ := podEnv(d, "node-7")("GOGC"); got != "100" {
		t.Errorf("GOGC is %q", got)
	}
	cfg := load(t, m, d)
	if cfg.Writers[0].URL != "https://n9e.example/prometheus/v1/write" {
		t.Errorf("writes to %s", cfg.Writers[0].URL)
	}
	if cfg.Heartbeat.URL != "https://n9e.example/v1/n9e/heartbeat" {
		t.Errorf("the heartbeat goes to %s", cfg.Heartbeat.URL)
	}
	if all := instances[pods.Config](cfg, "pods"); len(all) != 2 || !all[0].KubeletInsecureSkipVerify || !all[1].KubeletInsecureSkipVerify {
		t.Errorf("kubelet.verify is not for every instance: %+v", all)
	}
	if files := slices.Sorted(maps.Keys(m.configMaps["kinglet-input-kubelet"].Data)); !slices.Equal(files, []string{"cadvisor.toml"}) {
		t.Errorf("files of the kubelet: %v", files)
	}
}
