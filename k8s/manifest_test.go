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

// deployed are the manifests that are shipped.
func deployed(t *testing.T) manifests {
	t.Helper()
	files, err := filepath.Glob("deploy/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var objects []string
	for _, file := range files {
		if filepath.Base(file) != "kustomization.yaml" {
			objects = append(objects, file)
		}
	}
	return readManifests(t, objects...)
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
