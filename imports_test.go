package kinglet_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// leaves are open to all.
var leaves = []string{"kinglet", "kinglet/conf/unit", "kinglet/conf/httpclient", "kinglet/conf/leanhttp", "kinglet/conf/relabel"}

// mayImport says, by folder, which packages of this module the code there may
// import beside the leaves; "/..." stands for the folder and everything below
// it. A new folder needs a line here: imports point down.
var mayImport = map[string][]string{
	".":               nil,
	"conf/unit":       nil,
	"conf/httpclient": nil,
	"conf/leanhttp":   nil,
	"conf/relabel":    nil,
	"conf":            {"kinglet/inputs/...", "kinglet/writer/..."}, // for Config types
	"inputs":          nil,
	"inputs/promtext": nil,
	"inputs/scrape":   {"kinglet/inputs", "kinglet/inputs/promtext"},
	"inputs/self":     {"kinglet/inputs", "kinglet/inputs/scrape"},
	"inputs/kubelet":  {"kinglet/inputs", "kinglet/inputs/scrape", "kinglet/k8s"},
	"inputs/catalog":  {"kinglet/inputs/..."},
	"inputs/...":      {"kinglet/inputs/...", "kinglet/k8s"}, // pods, kubelet; the rest of inputs has its own line
	"inputs/prometheus": {
		"kinglet/inputs", "kinglet/inputs/promtext", "kinglet/inputs/scrape",
	},
	"writer/queue":     nil,
	"writer/stencil":   nil,
	"writer/heartbeat": nil,
	"writer/doctor":    {"kinglet/writer/remotewrite", "kinglet/writer/heartbeat"},
	"writer/...":       {"kinglet/writer/..."},
	"k8s":              nil,
	"k8s/cluster/...":  nil, // programs of the cluster that the end-to-end tests run in
	"serve/...":        {"kinglet/inputs"},
	"cmd/...":          {"kinglet/conf", "kinglet/inputs/...", "kinglet/writer/...", "kinglet/k8s", "kinglet/serve/..."},
	"e2e/harness":      nil, // for tests alone
	"e2e/...":          {"kinglet/e2e/harness"},
	"internal/tree":    nil, // for tests alone
}

// testsMay is what tests may import beyond that.
var testsMay = []string{"kinglet/conf", "kinglet/inputs/...", "kinglet/writer/...", "kinglet/k8s", "kinglet/internal/tree"}

// packs is what the root packs its label sets with.
const packs = "github.com/klauspost/compress/s2"

// elsewhere is what only some folders may import from outside the module.
var elsewhere = map[string]string{
	"github.com/prometheus/prometheus/tsdb":    "cmd/kinglet-demo",
	"github.com/prometheus/prometheus/promql":  "cmd/kinglet-demo",
	"github.com/prometheus/prometheus/storage": "cmd/kinglet-demo",
}

func TestImportsPointDown(t *testing.T) {
	for name, imports := range sourceImports(t) {
		for _, imported := range imports {
			if fault := judge(name, imported); fault != "" {
				t.Errorf("%s imports %s: %s", name, imported, fault)
			}
		}
	}
}

// sourceImports is what each Go file of the module imports, tests included.
func sourceImports(t *testing.T) map[string][]string {
	t.Helper()
	skipped := []string{"testdata", "tools", "bin"}
	found := map[string][]string{}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		name = filepath.ToSlash(name)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || slices.Contains(skipped, entry.Name())):
			return filepath.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(name), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		found[name] = nil
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found[name] = append(found[name], imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 10 {
		t.Fatalf("only %d files were found", len(found))
	}
	return found
}

// judge says what is wrong with the file of that name importing a package, or "".
func judge(name, imported string) string {
	folder, test := path.Dir(name), strings.HasSuffix(name, "_test.go")
	for outside, only := range elsewhere {
		if covers(outside+"/...", imported) && !test && !covers(only+"/...", folder) {
			return "only " + only + " may"
		}
	}
	if folder == "." && !test && strings.Contains(imported, ".") && imported != packs {
		return "the root depends on the standard library and " + packs + " alone"
	}
	if !covers("kinglet/...", imported) || slices.Contains(leaves, imported) && folder != "." {
		return ""
	}
	rule, ok := ruleOf(folder)
	if !ok {
		return "its folder has no line in mayImport"
	}
	allowed := mayImport[rule]
	if test {
		own := path.Join("kinglet", folder) // its own package, from package x_test
		allowed = append(slices.Clone(allowed), append(testsMay, own)...)
	}
	if slices.ContainsFunc(allowed, func(pattern string) bool { return covers(pattern, imported) }) {
		return ""
	}
	return fmt.Sprintf("%s may import only %v", folder, append(slices.Clone(leaves), mayImport[rule]...))
}

// ruleOf finds the line of mayImport for a folder: its own, else the one that
// covers it most closely.
func ruleOf(folder string) (string, bool) {
	if _, ok := mayImport[folder]; ok {
		return folder, true
	}
	for up := folder; up != "."; up = path.Dir(up) {
		if _, ok := mayImport[up+"/..."]; ok {
			return up + "/...", true
		}
	}
	return "", false
}

func covers(pattern, name string) bool {
	base, deep := strings.CutSuffix(pattern, "/...")
	return name == base || deep && strings.HasPrefix(name, base+"/")
}

func TestImportRulesRefuseWhatPointsUp(t *testing.T) {
	for _, tt := range []struct {
		file, imported string
		fine           bool
	}{
		{"inputs/scrape/loop.go", "kinglet", true},
		{"inputs/scrape/loop.go", "kinglet/conf/unit", true},
		{"inputs/scrape/loop.go", "kinglet/inputs/promtext", true},
		{"inputs/scrape/loop.go", "kinglet/writer", false},
		{"inputs/scrape/loop.go", "kinglet/conf", false},
		{"inputs/scrape/loop.go", "kinglet/inputs/prometheus", false},
		{"inputs/prometheus/prometheus.go", "kinglet/k8s", false},
		{"inputs/pods/pods.go", "kinglet/k8s", true},
		{"inputs/pods/pods.go", "kinglet/writer/queue", false},
		{"inputs/promtext/parse.go", "kinglet/inputs", false},
		{"writer/pipeline.go", "kinglet/writer/queue", true},
		{"writer/pipeline.go", "kinglet/inputs", false},
		{"writer/queue/queue.go", "kinglet/writer/remotewrite", false},
		{"writer/queue/queue.go", "kinglet/conf", false},
		{"writer/queue/queue_test.go", "kinglet/writer/remotewrite", true},
		{"k8s/deploy_test.go", "kinglet/conf", true},
		{"k8s/pods.go", "kinglet/conf", false},
		{"conf/conf.go", "kinglet/inputs/catalog", true},
		{"conf/conf.go", "kinglet/cmd/kinglet", false},
		{"conf/unit/unit.go", "kinglet/conf", false},
		{"writer/queue/queue_test.go", "kinglet/cmd/kinglet", false},
		{"cmd/kinglet/main.go", "kinglet/conf", true},
		{"cmd/kinglet/main.go", "github.com/prometheus/prometheus/tsdb/chunks", false},
		{"cmd/kinglet-demo/store.go", "github.com/prometheus/prometheus/tsdb", true},
		{"kinglet.go", "github.com/prometheus/prometheus/prompb", false},
		{"kinglet.go", "kinglet/writer", false},
		{"conf/load_test.go", "kinglet/internal/tree", true},
		{"conf/load.go", "kinglet/internal/tree", false},
		{"newroom/x.go", "kinglet/writer", false},
	} {
		if fault := judge(tt.file, tt.imported); (fault == "") != tt.fine {
			t.Errorf("%s importing %s: got %q, fine is %v", tt.file, tt.imported, fault, tt.fine)
		}
	}
}
