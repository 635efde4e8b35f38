// Command manifests renders what is shipped for Kubernetes, as users do: each
// kustomization with kustomize, the chart with helm, which also lints it. What
// comes out is compared with k8s/testdata/rendered, whose files kinglet's own
// tests decode, check and hold against each other. It is a module of its own, so
// that neither of the two programs weighs on kinglet's dependencies.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	update := flag.Bool("update", false, "write what is rendered")
	flag.Parse()
	root := flag.Arg(0)
	if root == "" {
		root = "."
	}
	if err := run(root, *update); err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		os.Exit(1)
	}
}

// run renders everything below root, and compares it with, or writes it to,
// k8s/testdata/rendered.
func run(root string, update bool) error {
	made, err := renderAll(root)
	if err != nil {
		return err
	}
	folder := filepath.Join(root, "k8s", "testdata", "rendered")
	if update {
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	var faults []string
	for name, text := range made {
		file := filepath.Join(folder, name)
		if update {
			if err := os.WriteFile(file, text, 0o644); err != nil {
				return err
			}
			continue
		}
		if before, err := os.ReadFile(file); err != nil || !bytes.Equal(before, text) {
			faults = append(faults, name+" is not what is rendered: "+firstDifference(before, text))
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, ok := made[e.Name()]; !ok {
			faults = append(faults, e.Name()+" is rendered from nothing")
		}
	}
	if len(faults) > 0 {
		slices.Sort(faults)
		return fmt.Errorf("run make manifests ARGS=-update, and read the difference:\n  %s", strings.Join(faults, "\n  "))
	}
	fmt.Printf("%d renderings by kustomize and helm are as the tests have them\n", len(made))
	return nil
}

// renderAll is every rendering, by the name of its file.
func renderAll(root string) (map[string][]byte, error) {
	made := map[string][]byte{}
	folders, err := filepath.Glob(filepath.Join(root, "k8s", "deploy", "overlays", "*"))
	if err != nil {
		return nil, err
	}
	more, err := filepath.Glob(filepath.Join(root, "k8s", "testdata", "kustomize", "*"))
	if err != nil {
		return nil, err
	}
	folders = append(append(folders, more...), filepath.Join(root, "k8s", "deploy"))
	for _, folder := range folders {
		name := "kustomize-" + filepath.Base(folder) + ".yaml"
		if made[name], err = kustomize(folder); err != nil {
			return nil, fmt.Errorf("%s: %w", folder, err)
		}
	}
	chart := filepath.Join(root, "k8s", "chart")
	values, err := filepath.Glob(filepath.Join(root, "k8s", "testdata", "helm", "*.yaml"))
	if err != nil {
		return nil, err
	}
	for _, file := range values {
		name := "helm-" + filepath.Base(file)
		if made[name], err = helm(chart, file); err != nil {
			return nil, fmt.Errorf("%s with %s: %w", chart, file, err)
		}
	}
	return made, nil
}

// firstDifference is the first line that differs.
func firstDifference(before, after []byte) string {
	if before == nil {
		return "it is not there"
	}
	a, b := strings.Split(string(before), "\n"), strings.Split(string(after), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d is %q, rendered %q", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("it has %d lines, rendered %d", len(a), len(b))
}
