package k8s_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

// manifests are the objects of some YAML files, by kind.
type manifests struct {
	namespaces      []*corev1.Namespace
	serviceAccounts []*corev1.ServiceAccount
	configMaps      map[string]*corev1.ConfigMap
	daemonSets      []*appsv1.DaemonSet
	clusterRoles    []*rbacv1.ClusterRole
	bindings        []*rbacv1.ClusterRoleBinding
	quotas          []*corev1.ResourceQuota
}

// readManifests decodes every document of the files as strictly as the API
// server does with fieldValidation=Strict.
func readManifests(t *testing.T, files ...string) manifests {
	t.Helper()
	m := manifests{configMaps: map[string]*corev1.ConfigMap{}}
	for _, file := range files {
		for _, object := range decode(t, file) {
			switch o := object.(type) {
			case *corev1.Namespace:
				m.namespaces = append(m.namespaces, o)
			case *corev1.ServiceAccount:
				m.serviceAccounts = append(m.serviceAccounts, o)
			case *corev1.ConfigMap:
				m.configMaps[o.Name] = o
			case *appsv1.DaemonSet:
				m.daemonSets = append(m.daemonSets, o)
			case *rbacv1.ClusterRole:
				m.clusterRoles = append(m.clusterRoles, o)
			case *rbacv1.ClusterRoleBinding:
				m.bindings = append(m.bindings, o)
			case *corev1.ResourceQuota:
				m.quotas = append(m.quotas, o)
			default:
				t.Errorf("%s: %T is not expected here", file, object)
			}
		}
	}
	return m
}

func decode(t *testing.T, file string) []runtime.Object {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{Yaml: true, Strict: true})
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	var objects []runtime.Object
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := strict.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		objects = append(objects, object)
	}
}

// renderings are all variants of the manifests, by name. tools/manifests makes
// them of deploy and chart; `make manifests` holds them equal.
func renderings(t *testing.T) map[string]manifests {
	t.Helper()
	files, err := filepath.Glob("testdata/rendered/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]manifests{}
	for _, file := range files {
		all[strings.TrimSuffix(filepath.Base(file), ".yaml")] = readManifests(t, file)
	}
	if len(all) < 5 {
		t.Fatalf("only %d renderings", len(all))
	}
	return all
}

// eachRendering runs a test of every variant's DaemonSet.
func eachRendering(t *testing.T, test func(*testing.T, manifests, *appsv1.DaemonSet)) {
	t.Helper()
	for name, m := range renderings(t) {
		t.Run(name, func(t *testing.T) { test(t, m, theDaemonSet(t, m)) })
	}
}

// mount writes what the container sees below root, as the kubelet lays it out:
// each file a link through ..data, so that a change is seen all at once.
func mount(t *testing.T, m manifests, d *appsv1.DaemonSet, root string) {
	t.Helper()
	sources := map[string]string{}
	for _, v := range d.Spec.Template.Spec.Volumes {
		if v.ConfigMap != nil {
			sources[v.Name] = v.ConfigMap.Name
		}
	}
	for _, vm := range d.Spec.Template.Spec.Containers[0].VolumeMounts {
		if sources[vm.Name] == "" {
			continue // no ConfigMap
		}
		folder := filepath.Join(root, filepath.FromSlash(vm.MountPath))
		version := "..2026_01_02_03_04_05.678"
		if err := os.MkdirAll(filepath.Join(folder, version), 0o755); err != nil {
			t.Fatal(err)
		}
		links := map[string]string{"..data": version}
		for name, text := range m.configMaps[sources[vm.Name]].Data {
			if err := os.WriteFile(filepath.Join(folder, version, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			links[name] = path.Join("..data", name)
		}
		for name, to := range links {
			if err := os.Symlink(to, filepath.Join(folder, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// podEnv is the environment of a DaemonSet's container on a node.
func podEnv(d *appsv1.DaemonSet, node string) func(string) (string, bool) {
	env := map[string]string{}
	for _, e := range d.Spec.Template.Spec.Containers[0].Env {
		env[e.Name] = e.Value
		if e.ValueFrom == nil || e.ValueFrom.FieldRef == nil {
			continue
		}
		switch e.ValueFrom.FieldRef.FieldPath {
		case "spec.nodeName":
			env[e.Name] = node
		case "status.hostIP":
			env[e.Name] = "10.0.0.7"
		case "metadata.namespace":
			env[e.Name] = d.Namespace
		}
	}
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

// mounted reports whether the container has something mounted at dir.
func mounted(d *appsv1.DaemonSet, dir string) bool {
	for _, vm := range d.Spec.Template.Spec.Containers[0].VolumeMounts {
		if vm.MountPath == dir || strings.HasPrefix(vm.MountPath, dir+"/") {
			return true
		}
	}
	return false
}
