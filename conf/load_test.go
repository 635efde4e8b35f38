package conf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kinglet/inputs/catalog"
	"kinglet/inputs/prometheus"
	"kinglet/internal/tree"
)

const oneWriter = "[[writers]]\nurl = \"http://127.0.0.1:17000/prometheus/v1/write\"\n"

func mustLoad(t *testing.T, dir string) (*Config, Findings) {
	t.Helper()
	cfg, findings, err := Load(dir, onNode1())
	if err != nil {
		t.Fatal(err)
	}
	return cfg, findings
}

// targets are the configs of input.prometheus.
func targets(t *testing.T, cfg *Config) []*prometheus.Config {
	t.Helper()
	var all []*prometheus.Config
	for _, in := range cfg.Inputs {
		if in.Name == "prometheus" {
			for _, i := range in.Instances {
				all = append(all, i.Config.(*prometheus.Config))
			}
		}
	}
	return all
}

func TestArticleLoadsAsItIs(t *testing.T) {
	cfg, findings := mustLoad(t, "testdata/kube_proxy_article.good")
	if len(findings) > 0 {
		t.Errorf("findings: %v", findings)
	}
	settings := cfg.Settings("kinglet/test")
	if settings.Hostname != "node1" || settings.Interval != 15*time.Second || settings.Precision != time.Millisecond {
		t.Errorf("settings: %+v", settings)
	}
	if cfg.WriterOpt.Batch != 2000 || cfg.WriterOpt.ChanSize != 10000 || len(cfg.Writers) != 1 {
		t.Errorf("writers: %+v %+v", cfg.WriterOpt, cfg.Writers)
	}
	if w := cfg.Writers[0]; w.URL != "http://192.0.2.10:19000/prometheus/v1/write" || w.TimeoutMs != 5000 || !w.StaleMarkers {
		t.Errorf("writer: %+v", w)
	}
	want := prometheus.DefaultConfig()
	want.URLs = []string{"http://127.0.0.1:10249/metrics"}
	want.Labels = map[string]string{"job": "kube-proxy"}
	if diff := cmp.Diff([]*prometheus.Config{&want}, targets(t, cfg)); diff != "" {
		t.Error(diff)
	}
	if at := cfg.Inputs[0].Instances[0].Pos.String(); at != "input.prometheus/prometheus.toml:1" {
		t.Errorf("the instance is at %s", at)
	}
}

func TestSiblingsAreOneConfiguration(t *testing.T) {
	cfg, _ := mustLoad(t, "testdata/siblings.good")
	if cfg.Global.Hostname != "h" || cfg.Global.Labels["zone"] != "a" || cfg.WriterOpt.Batch != 500 || len(cfg.Writers) != 2 {
		t.Errorf("%+v", cfg)
	}
	if !strings.Contains(cfg.Writers[0].URL, "17001") { // of c_writer.toml, which sorts before config.toml
		t.Errorf("the writers are out of order: %v", cfg.Writers)
	}
}

func TestWindowsTextLoads(t *testing.T) {
	cfg, _ := mustLoad(t, "testdata/quoted.good")
	if cfg.Global.Hostname != "h" || cfg.Global.Labels["a.b"] != "x" || cfg.Global.Interval.Duration != 20*time.Second {
		t.Errorf("%+v", cfg.Global)
	}
}

func TestIntervals(t *testing.T) {
	dir := tree.Make(t, map[string]string{
		"config.toml":               oneWriter,
		"input.prometheus/a.toml":   "[[instances]]\nurls = [\"http://a\"]\n[instances.labels]\nx = \"1\"\n",
		"input.prometheus/b.toml":   "interval = 30\n[[instances]]\nurls = [\"http://b\"]\n",
		"input.prometheus/c.toml":   "interval = \"1m\"\n[[instances]]\nurls = [\"http://c\"]\n[[instances]]\nurls = [\"http://d\"]\ninterval = 5\n",
		"input.prometheus/bad.toml": "interval = 99\n[[instances]]\nurls = 1\n",
	})
	cfg, findings := mustLoad(t, dir)
	if findings.Errors() != 1 {
		t.Errorf("findings: %v", findings)
	}
	got := map[string]time.Duration{}
	for _, c := range targets(t, cfg) {
		got[c.URLs[0]] = c.Interval.Duration
	}
	want := map[string]time.Duration{
		"http://a": 30 * time.Second, "http://b": 30 * time.Second, "http://c": time.Minute, "http://d": 5 * time.Second,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestABadFileCostsOnlyItself(t *testing.T) {
	good := "[[instances]]\nurls = [\"http://127.0.0.1:1/metrics\"]\n"
	dir := tree.Make(t, map[string]string{
		"config.toml":                   oneWriter,
		"input.prometheus/a.toml":       good,
		"input.prometheus/b.toml":       "[[instances]\n",
		"input.prometheus/c.toml":       good + "labels = { replica = 1 }\n",
		"input.prometheus/d.toml":       good + "unknown = 1\n",
		"input.prometheus/e.toml":       "",
		"input.prometheus/f.toml/x":     "",
		"input.prometheus/g.toml":       "# " + strings.Repeat("x", int(maxFileBytes)),
		"input.prometheus/sub/deep":     "",
		"input.prometheus/h.toml.bak":   "][",
		"input.self_metrics/.keep":      "",
		"folder.toml/x":                 "",
		"input.cpu/cpu.toml":            "][",
		"input.prometheus.foo/foo.toml": good,
	})
	link(t, "nowhere", filepath.Join(dir, "input.prometheus/dangling.toml"))
	link(t, "loop.toml", filepath.Join(dir, "input.prometheus/loop.toml"))
	cfg, findings := mustLoad(t, dir)
	if n := len(targets(t, cfg)); n != 2 {
		t.Errorf("%d targets, want those of a.toml and d.toml; %v", n, findings)
	}
	if len(cfg.Inputs) != 2 || cfg.Inputs[1].Name != "self_metrics" || len(cfg.Inputs[1].Instances) != 1 {
		t.Errorf("inputs: %+v", cfg.Inputs)
	}
	for _, want := range []string{
		"folder.toml: warning: is a folder",
		"input.cpu: warning: kinglet has no such input; its 1 file is ignored",
		"input.prometheus.foo: warning: kinglet has no such input",
		"input.prometheus/b.toml:1: ",
		"input.prometheus/c.toml:3: instances[0].labels.replica: is the number 1, want text in quotes",
		"input.prometheus/d.toml:3: warning: instances[0].unknown: is no key of kinglet",
		"input.prometheus/dangling.toml: cannot be read: ",
		"input.prometheus/f.toml: warning: is a folder",
		"input.prometheus/g.toml: is larger than 4MiB",
		"input.prometheus/loop.toml: cannot be read: ",
	} {
		if !strings.Contains(write(findings), want) {
			t.Errorf("no finding %q in\n%s", want, write(findings))
		}
	}
}

func write(findings Findings) string {
	var b strings.Builder
	if err := findings.Write(&b); err != nil {
		return err.Error()
	}
	return b.String()
}

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

func TestConfigMapLinksAreFollowed(t *testing.T) {
	dir := tree.Make(t, map[string]string{
		"..2026_01_01/config.toml":                oneWriter,
		"..2026_01_01/prometheus.toml":            "[prometheus]\nenable = false\n",
		"input.prometheus/..2026_01_01/node.toml": "[[instances]]\nurls = [\"http://127.0.0.1:10249/metrics\"]\n",
	})
	link(t, "..2026_01_01", filepath.Join(dir, "..data"))
	link(t, "..data/config.toml", filepath.Join(dir, "config.toml"))
	link(t, "..data/prometheus.toml", filepath.Join(dir, "prometheus.toml"))
	link(t, "..2026_01_01", filepath.Join(dir, "input.prometheus/..data"))
	link(t, "..data/node.toml", filepath.Join(dir, "input.prometheus/node.toml"))
	cfg, findings := mustLoad(t, dir)
	if len(cfg.Writers) != 1 || len(targets(t, cfg)) != 1 || len(findings) != 1 {
		t.Errorf("%+v\n%v", cfg, findings)
	}
}

func TestHostname(t *testing.T) {
	for _, tt := range []struct{ written, want, finding string }{
		{`""`, "os-name", ""},
		{`"fixed"`, "fixed", ""},
		{`"$HOSTNAME"`, "node1", ""},
		{`"${HOSTNAME}"`, "node1", ""},
		{`"$hostname"`, "os-name", ""},
		{`"$ip"`, "10.0.0.7", ""},
		{`"a-$ip"`, "a-10.0.0.7", ""},
		{`"x-${ip}-${hostname}"`, "x-10.0.0.7-os-name", ""},
		{`"$EMPTY"`, "os-name", "config.toml:2: warning: global.hostname: is empty once its variables are replaced"},
		{`" h "`, "h", ""},
	} {
		dir := tree.Make(t, map[string]string{
			"config.toml":             "[global]\nhostname = " + tt.written + "\nlabels = { me = \"<$hostname>\" }\n" + oneWriter,
			"input.prometheus/a.toml": "[[instances]]\nurls = [\"http://$hostname:1\"]\nlabels = { q = \"$QUOTED\" }\npassword = \"p$HOSTNAME${HOSTNAME}\"\n",
		})
		cfg, findings := mustLoad(t, dir)
		if cfg.Global.Hostname != tt.want || cfg.Global.Labels["me"] != "<"+tt.want+">" {
			t.Errorf("%s: %q, %v", tt.written, cfg.Global.Hostname, cfg.Global.Labels)
		}
		if got := write(findings); (got == "") != (tt.finding == "") || !strings.Contains(got, tt.finding) {
			t.Errorf("%s: findings %q, want %q", tt.written, got, tt.finding)
		}
		c := targets(t, cfg)[0]
		if c.URLs[0] != "http://"+tt.want+":1" || c.Labels["q"] != `a"b\c$HOSTNAME` || c.Password != "p$HOSTNAMEnode1" {
			t.Errorf("%s: %q %q %q", tt.written, c.URLs, c.Labels, c.Password)
		}
	}
}

func TestHostWithoutAName(t *testing.T) {
	o := onNode1()
	o.Hostname = func() (string, error) { return "", errors.New("no name") }
	_, _, err := Load(tree.Make(t, map[string]string{"config.toml": oneWriter}), o)
	if err == nil || !strings.Contains(err.Error(), "global.hostname: is empty") {
		t.Error(err)
	}
}

func TestAHostNameThatIsNoText(t *testing.T) {
	o := onNode1()
	o.Hostname = func() (string, error) { return "h\xff", nil }
	_, _, err := Load(tree.Make(t, map[string]string{"config.toml": oneWriter}), o)
	if err == nil || !strings.Contains(err.Error(), "the operating system's name is not UTF-8") {
		t.Error(err)
	}
}

func TestWritersTakeVariablesInBraces(t *testing.T) {
	cfg, _ := mustLoad(t, tree.Make(t, map[string]string{"config.toml": "[[writers]]\nurl = \"http://${ip}:1/${HOSTNAME}\"\n" +
		"basic_auth_user = \"$HOSTNAME\"\nbasic_auth_pass = \"$$ip${QUOTED}\"\nheaders = [\"X-Node\", \"${hostname}\"]\n"}))
	w := cfg.Writers[0]
	if w.URL != "http://10.0.0.7:1/node1" || w.User != "$HOSTNAME" || w.Pass != `$$ipa"b\c$HOSTNAME` || w.Headers[1] != "os-name" {
		t.Errorf("%q %q %q %q", w.URL, w.User, w.Pass, w.Headers)
	}
}

func TestRelativeTreeIsLookedForBesideTheProgram(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	beside := filepath.Join(filepath.Dir(program), "tree-beside")
	if err := os.MkdirAll(beside, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(beside) })
	if err := os.WriteFile(filepath.Join(beside, "config.toml"), []byte(oneWriter), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, _ := mustLoad(t, "tree-beside")
	if cfg.Dir != beside {
		t.Errorf("read from %s, want %s", cfg.Dir, beside)
	}
}

func TestOmitHostname(t *testing.T) {
	cfg, _ := mustLoad(t, tree.Make(t, map[string]string{"config.toml": "[global]\nomit_hostname = true\n" + oneWriter}))
	if got := cfg.Settings("").Hostname; got != "" {
		t.Errorf("hostname %q", got)
	}
}

func TestOptionsNarrowTheTree(t *testing.T) {
	dir := tree.Make(t, map[string]string{
		"config.toml":             "[global]\ninterval = 60\n" + oneWriter,
		"input.prometheus/a.toml": "[[instances]]\nurls = [\"http://a\"]\n",
		"input.self_metrics/s":    "",
	})
	o := onNode1()
	o.Inputs, o.Interval = []string{"self_metrics", "nope"}, 7*time.Second
	cfg, findings, err := Load(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Inputs) != 1 || cfg.Inputs[0].Name != "self_metrics" || cfg.Settings("").Interval != 7*time.Second {
		t.Errorf("%+v", cfg)
	}
	if !strings.Contains(write(findings), `kinglet has no input "nope"`) {
		t.Error(findings)
	}
}

func TestMainFaultsStopTheLoad(t *testing.T) {
	for _, tree := range []string{"no_config", "syntax_main", "wrong_types", "unset_variable", "duplicate_in_siblings"} {
		cfg, findings, err := Load("testdata/"+tree+".bad", onNode1())
		if cfg != nil || err == nil || findings.Errors() == 0 {
			t.Errorf("%s: %v, %v", tree, cfg, err)
		}
	}
	if _, _, err := Load("testdata/nowhere", onNode1()); err == nil || !strings.Contains(err.Error(), "testdata/nowhere") {
		t.Error(err)
	}
}

func TestAWriterThatCannotWorkCostsOnlyItself(t *testing.T) {
	for _, url := range []string{"ftp://host/write", "host:9090/write", "http:///write", "http://h:x/"} {
		dir := tree.Make(t, map[string]string{"config.toml": oneWriter + fmt.Sprintf("[[writers]]\nurl = %q\n", url)})
		cfg, findings := mustLoad(t, dir)
		if len(cfg.Writers) != 2 || len(findings) != 1 || findings[0].Severity != Warning || findings[0].Pos.Line != 4 {
			t.Errorf("%s: %d writers, findings %v", url, len(cfg.Writers), findings)
		}
		if found := Check(dir, onNode1()); found.Errors() != 1 {
			t.Errorf("%s: a check finds %v", url, found)
		}
	}
	for _, url := range []string{"", "http://${no name}/write"} {
		dir := tree.Make(t, map[string]string{"config.toml": oneWriter + fmt.Sprintf("[[writers]]\nurl = %q\n", url)})
		if _, _, err := Load(dir, onNode1()); err == nil {
			t.Errorf("url = %q: want the start refused", url)
		}
	}
}

func TestUnknownKeysDoNotStopTheLoad(t *testing.T) {
	cfg, findings := mustLoad(t, "testdata/typo.bad")
	if len(targets(t, cfg)) != 1 || findings.Errors() > 0 {
		t.Errorf("%+v\n%v", cfg, findings)
	}
}

func TestSecretsStayOutOfFindings(t *testing.T) {
	dir := tree.Make(t, map[string]string{
		"config.toml":             "[[writers]]\nurl = \"ftp://user:hunter2@host/w\"\nheaders = [\"Authorization\"]\nbasic_auth_pass = \"hunter2\"\n",
		"input.prometheus/a.toml": "[[instances]]\nurls = \"http://user:hunter2@host/\"\nheaders = [\"A\", \"hunter2\", 1]\n",
		"input.prometheus/b.toml": "[[instances]]\nheaders = [\n\"Authorization\",\nhunter2\n]\n",
		"input.prometheus/c.toml": "[[instances]]\nurls = [\"http://user:hunter2@h ost:x/\"]\nheaders = [\"hunter2\"]\nbearer_token_string = hunter2\n",
		"input.prometheus/d.toml": "[[instances]]\npassword = 0hunter2\n",
		"input.prometheus/e.toml": "[[instances]]\nurls = [\"http://user:hunter2@h ost:x/\"]\nheaders = [\"hunter2\"]\n",
	})
	findings := Check(dir, onNode1())
	if findings.Errors() < 5 || strings.Contains(write(findings), "hunter2") {
		t.Errorf("%s", write(findings))
	}
}

func TestCategrafTreesPassTheCheck(t *testing.T) {
	for _, tree := range []string{"categraf_daemonset", "kube_proxy_article", "dead_tables"} {
		if findings := Check("testdata/"+tree+".good", onNode1()); findings.Errors() > 0 {
			t.Errorf("%s:\n%s", tree, write(findings))
		}
	}
}

func TestCaseOfTablesDoesNotMatter(t *testing.T) {
	cfg, findings := mustLoad(t, tree.Make(t, map[string]string{
		"config.toml": "[Global]\nHostName = \"a\"\n[global.labels]\nA = \"1\"\na = \"2\"\n" + oneWriter,
		"w.toml":      strings.ToUpper("[[writers]]\nurl") + " = \"http://b/w\"\n",
	}))
	if len(findings) > 0 || cfg.Global.Hostname != "a" || len(cfg.Global.Labels) != 2 || len(cfg.Writers) != 2 {
		t.Errorf("%+v\n%s", cfg, write(findings))
	}
}

func TestDefaultDir(t *testing.T) {
	for _, tt := range []struct {
		env    map[string]string
		exists string
		want   string
	}{
		{map[string]string{"KINGLET_CONFIGS": "/k", "CATEGRAF_CONFIGS": "/c"}, "/etc/kinglet/conf", "/k"},
		{map[string]string{"CATEGRAF_CONFIGS": "/c"}, "/etc/kinglet/conf", "/c"},
		{nil, "/etc/kinglet/conf /etc/categraf/conf", "/etc/kinglet/conf"},
		{nil, "/etc/categraf/conf", "/etc/categraf/conf"},
		{nil, "", "conf"},
	} {
		got := DefaultDir(func(name string) string { return tt.env[name] }, func(dir string) bool {
			return strings.Contains(tt.exists, dir)
		})
		if got != tt.want {
			t.Errorf("%v %s: %s, want %s", tt.env, tt.exists, got, tt.want)
		}
	}
}

func TestFindingsAreBounded(t *testing.T) {
	var text strings.Builder
	for i := range 3 * maxFindings {
		fmt.Fprintf(&text, "key%d = 1\n", i)
	}
	findings := Check(tree.Make(t, map[string]string{"config.toml": text.String() + oneWriter}), onNode1())
	if len(findings) != maxFindings+1 || !strings.Contains(write(findings), "there are 2000 findings more") {
		t.Errorf("%d findings", len(findings))
	}
}

// FuzzLoad: any bytes, as the main file and as a file of an input, give
// findings that name a line of the file, and no panic.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("testdata/*/*.toml")
	more, _ := filepath.Glob("testdata/*/*/*.toml")
	samples, _ := filepath.Glob("*.toml")
	for _, file := range append(append(files, more...), samples...) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		l := newLoader("nowhere", onNode1(), false)
		var docs []document
		if doc, ok := l.parse("config.toml", text); ok {
			docs = append(docs, doc)
		}
		l.main(docs)
		for _, entry := range catalog.All() {
			doc, ok := l.parse("input."+entry.Name+"/a.toml", text)
			if !ok {
				continue
			}
			if !entry.Single {
				l.inputFile(doc, entry)
			}
		}
		lines := 1 + strings.Count(text, "\n")
		for _, finding := range l.report.sorted() {
			if finding.Pos.Line < 0 || finding.Pos.Line > lines || finding.Message == "" || strings.ContainsAny(finding.String(), "\n\r") {
				t.Fatalf("%q in a text of %d lines", finding, lines)
			}
		}
	})
}
