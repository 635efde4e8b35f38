package conf

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kinglet/inputs/catalog"
	"kinglet/writer"
	"kinglet/writer/heartbeat"
	"kinglet/writer/remotewrite"
)

// documented are the Config types that a user can write: where their sample
// lies, under which heading docs/configuration.md has them, and their defaults.
func documented() []struct {
	heading, sample, path string
	standard              any
} {
	global, log, serve, opt, w := DefaultGlobal(), DefaultLog(), DefaultServe(), writer.DefaultConfig(), remotewrite.DefaultConfig()
	beat := heartbeat.DefaultConfig()
	all := []struct {
		heading, sample, path string
		standard              any
	}{
		{"[global]", "config.toml", "global", &global},
		{"[log]", "config.toml", "log", &log},
		{"[serve]", "config.toml", "serve", &serve},
		{"[writer_opt]", "config.toml", "writer_opt", &opt},
		{"[[writers]]", "config.toml", "writers[0]", &w},
		{"[heartbeat]", "config.toml", "heartbeat", &beat},
	}
	for _, e := range catalog.All() {
		path := "instances[0]"
		if e.Single {
			path = ""
		}
		all = append(all, struct {
			heading, sample, path string
			standard              any
		}{"input." + e.Name, "input." + e.Name + "/" + e.Name + ".toml", path, e.Default()})
	}
	return all
}

func TestShippedTreeIsClean(t *testing.T) {
	cfg, findings, err := Load(".", onNode1())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(findings, Check(".", onNode1())...) {
		if f.Severity > Note {
			t.Errorf("shipped: %s", f)
		}
	}
	if len(cfg.Writers) != 1 || len(cfg.Inputs) != len(catalog.All()) {
		t.Errorf("%d writers, %d inputs", len(cfg.Writers), len(cfg.Inputs))
	}
}

// diffKeys compares what two Configs hold under their TOML keys, but for one.
func diffKeys(a, b any, except string) string {
	keys := func(v any) map[string]any {
		config := reflect.ValueOf(v).Elem()
		all := map[string]any{}
		for _, f := range fieldsOf(config.Type()) {
			if f.name != except {
				all[f.name] = config.FieldByIndex(f.index).Interface()
			}
		}
		return all
	}
	return cmp.Diff(keys(a), keys(b), cmpopts.EquateEmpty())
}

// TestSamplesShowEveryKeyWithItsDefault takes the # from every key of a sample:
// what is read then must be the defaults, and no key may be missing.
func TestSamplesShowEveryKeyWithItsDefault(t *testing.T) {
	for _, d := range documented() {
		text, err := os.ReadFile(filepath.FromSlash(d.sample))
		if err != nil {
			t.Error(err)
			continue
		}
		bare := regexp.MustCompile(`(?m)^#([a-z0-9_]+ = .*)$`).ReplaceAll(text, []byte("$1"))
		l := newLoader(".", onNode1(), true)
		doc, ok := l.parse(d.sample, string(bare))
		if !ok {
			t.Errorf("%v", l.report.all)
			continue
		}
		table, at := walk(t, doc, d.path)
		got := reflect.New(reflect.TypeOf(d.standard).Elem())
		l.vars = &variables{env: onNode1().LookupEnv}
		if !l.newDecoder().table(table, at, got.Interface(), d.path) {
			t.Errorf("%v", l.report.all)
		}
		if diff := diffKeys(d.standard, got.Interface(), "url"); diff != "" {
			t.Errorf("%s, %s (-default +sample):\n%s", d.sample, d.heading, diff)
		}
		for _, f := range fieldsOf(got.Type().Elem()) {
			if _, ok := table[f.name]; !ok && !bytes.Contains(text, []byte("#   "+f.name+" = ")) {
				t.Errorf("%s: %s has no %s", d.sample, d.heading, f.name)
			}
		}
		for _, name := range nestedFields(got.Type().Elem()) {
			if !bytes.Contains(text, []byte("#   "+name+" = ")) {
				t.Errorf("%s: %s has no example of %s", d.sample, d.heading, name)
			}
		}
	}
}

// walk is the table of a document at a path such as "writers[0]".
func walk(t *testing.T, doc document, path string) (map[string]any, *node) {
	t.Helper()
	table, at := doc.values, doc.index
	if path == "" {
		return table, at
	}
	name, _, array := strings.Cut(path, "[")
	at = at.key(name)
	if array {
		items, _ := itemsOf(table[name])
		if len(items) != 1 {
			t.Fatalf("%s: %d of %s", doc.file, len(items), name)
		}
		return items[0].(map[string]any), at.item(0)
	}
	inner, ok := table[name].(map[string]any)
	if !ok {
		t.Fatalf("%s: no %s", doc.file, name)
	}
	return inner, at
}

// nestedFields are the keys of the tables within a Config.
func nestedFields(t reflect.Type) []string {
	var names []string
	for _, f := range fieldsOf(t) {
		ft := t.FieldByIndex(f.index).Type
		if ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct {
			for _, inner := range fieldsOf(ft.Elem()) {
				names = append(names, inner.name)
			}
		}
	}
	return names
}

// TestDocsShowEveryKeyWithItsDefault reads the tables of
// docs/configuration.md. The default of a row is TOML; "not set" is what a
// pointer is, "required" what has none.
func TestDocsShowEveryKeyWithItsDefault(t *testing.T) {
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| ([^|]+) \\|")
	for _, d := range documented() {
		_, section, ok := strings.Cut(string(page), "\n## `"+d.heading+"`")
		if !ok {
			t.Errorf("no section `%s`", d.heading)
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		section, nested, _ := strings.Cut(section, "\n### ")
		var text strings.Builder
		known := map[string]bool{}
		for _, m := range row.FindAllStringSubmatch(section, -1) {
			known[m[1]] = true
			if _, ok := findField(fieldsOf(reflect.TypeOf(d.standard).Elem()), m[1]); !ok {
				t.Errorf("%s: there is no %s", d.heading, m[1])
			}
			if value := strings.TrimSpace(m[2]); strings.HasPrefix(value, "`") {
				text.WriteString(m[1] + " = " + strings.Trim(value, "`") + "\n")
			}
		}
		l := newLoader(".", onNode1(), true)
		l.vars = &variables{env: onNode1().LookupEnv}
		doc, ok := l.parse("docs", text.String())
		got := reflect.New(reflect.TypeOf(d.standard).Elem())
		if !ok || !l.newDecoder().table(doc.values, doc.index, got.Interface(), "") {
			t.Errorf("%s: %v", d.heading, l.report.all)
		}
		if diff := diffKeys(d.standard, got.Interface(), ""); diff != "" {
			t.Errorf("docs, %s (-default +docs):\n%s", d.heading, diff)
		}
		for _, f := range fieldsOf(reflect.TypeOf(d.standard).Elem()) {
			if !known[f.name] {
				t.Errorf("docs: %s has no %s", d.heading, f.name)
			}
		}
		for _, name := range nestedFields(reflect.TypeOf(d.standard).Elem()) {
			if !strings.Contains(nested, "| `"+name+"` |") {
				t.Errorf("docs: %s has no %s", d.heading, name)
			}
		}
	}
}
