package kinglet_test

import (
	"maps"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDependenciesAreExplained holds docs/dependencies.md equal to what the
// code imports.
func TestDependenciesAreExplained(t *testing.T) {
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var modules []string
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+`).FindAllStringSubmatch(string(text), -1) {
		modules = append(modules, m[1])
	}
	doc, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\S+\.\S+/\S+) \| [a-z, ]+ \| .{20,} \|$`).FindAllStringSubmatch(string(doc), -1) {
		explained[row[1]] = true
	}
	used := map[string]string{}
	for name, imports := range sourceImports(t) {
		for _, imported := range imports {
			if !strings.Contains(strings.Split(imported, "/")[0], ".") {
				continue // standard library, or this module
			}
			module := moduleOf(modules, imported)
			if module == "" {
				t.Errorf("%s imports %s, which no module in go.mod has", name, imported)
			}
			used[module] = name
		}
	}
	for _, module := range slices.Sorted(maps.Keys(used)) {
		if !explained[module] {
			t.Errorf("docs/dependencies.md has no row for %s, which %s imports", module, used[module])
		}
	}
	for _, module := range slices.Sorted(maps.Keys(explained)) {
		if used[module] == "" {
			t.Errorf("docs/dependencies.md explains %s, which nothing imports", module)
		}
	}
}

// moduleOf is the module that a package belongs to, or "".
func moduleOf(modules []string, pkg string) string {
	for at := pkg; at != "."; at = path.Dir(at) {
		if slices.Contains(modules, at) {
			return at
		}
	}
	return ""
}

// TestAgentStaysSmall looks at everything that is linked into the agent.
func TestAgentStaysSmall(t *testing.T) {
	list, err := exec.CommandContext(t.Context(), "go", "list", "-e", "-deps", "./cmd/kinglet").Output()
	if err != nil {
		t.Fatalf("list what the agent is made of: %v", err)
	}
	unwanted := regexp.MustCompile(`^(` + strings.Join([]string{
		`github\.com/prometheus/prometheus/(tsdb|promql|storage|scrape|config|discovery)`,
		`github\.com/(aws|Azure|AzureAD)/`, `cloud\.google\.com/`, `google\.golang\.org/(grpc|api)`, `go\.opentelemetry\.io/`,
	}, "|") + `)`)
	for pkg := range strings.Lines(string(list)) {
		if pkg = strings.TrimSpace(pkg); unwanted.MatchString(pkg) {
			t.Errorf("the agent links %s", pkg)
		}
	}
}
