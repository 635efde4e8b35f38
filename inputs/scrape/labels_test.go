package scrape

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinglet"
	"kinglet/conf/relabel"
)

func globs(t *testing.T, patterns ...string) *Globs {
	t.Helper()
	g, err := CompileGlobs(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func rules(t *testing.T, written ...relabel.Rule) *relabel.Rules {
	t.Helper()
	r, err := relabel.Compile(written)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func pairs(names ...string) []kinglet.Label {
	var labels []kinglet.Label
	for i := 0; i < len(names); i += 2 {
		labels = append(labels, kinglet.Label{Name: names[i], Value: names[i+1]})
	}
	return labels
}

// TestLabelsInTheOrderOfApplication goes through the steps of docs/scraping.md.
func TestLabelsInTheOrderOfApplication(t *testing.T) {
	text := func(s string) *string { return &s }
	histogram := family{"h", kinglet.TypeHistogram}
	for _, tt := range []struct {
		name    string
		cfg     LabelConfig
		exposed []kinglet.Label
		family  family
		want    string // "" = left out
	}{
		{"1: a family is ignored by its name, not by that of its series",
			LabelConfig{IgnoreMetrics: globs(t, "h")}, pairs("__name__", "h_bucket", "le", "1"), histogram, ""},
		{"1: exposed labels are ignored, le of a bucket is not",
			LabelConfig{IgnoreLabelKeys: globs(t, "*")}, pairs("__name__", "h_bucket", "le", "1", "a", "b"), histogram,
			`{__name__="h_bucket",le="1"}`},
		{"2: the URL's labels win over exposed ones",
			LabelConfig{Target: pairs("instance", "i")}, pairs("__name__", "m", "instance", "exposed"), family{},
			`{__name__="m",instance="i"}`},
		{"2: le of a bucket wins over the URL's labels",
			LabelConfig{Target: pairs("le", "i")}, pairs("__name__", "h_bucket", "le", "1"), histogram,
			`{__name__="h_bucket",le="1"}`},
		{"3: name_prefix is joined with _",
			LabelConfig{NamePrefix: "p"}, pairs("__name__", "m"), family{}, `{__name__="p_m"}`},
		{"3: and left out if the family begins with it",
			LabelConfig{NamePrefix: "h"}, pairs("__name__", "h_bucket"), histogram, `{__name__="h_bucket"}`},
		{"4: odd characters of a metric name become _ before filters see it",
			LabelConfig{Pass: globs(t, "a_b_c")}, pairs("__name__", "a.b-c"), family{}, `{__name__="a_b_c"}`},
		{"5: metrics_drop", LabelConfig{Drop: globs(t, "m*")}, pairs("__name__", "m"), family{}, ""},
		{"6: metrics_pass", LabelConfig{Pass: globs(t, "x*")}, pairs("__name__", "m"), family{}, ""},
		{"6: drop wins over pass", LabelConfig{Pass: globs(t, "m"), Drop: globs(t, "m")}, pairs("__name__", "m"), family{}, ""},
		{"9: metrics_name_prefix comes after the filters, as it is",
			LabelConfig{Pass: globs(t, "m"), MetricsNamePrefix: "p"}, pairs("__name__", "m"), family{}, `{__name__="pm"}`},
		{"10: labels win over the URL's, - deletes",
			LabelConfig{Target: pairs("instance", "i", "x", "1"), Instance: map[string]string{"instance": "own", "x": "-"}},
			pairs("__name__", "m"), family{}, `{__name__="m",instance="own"}`},
		{"11, 12: global labels and the host's only where absent",
			LabelConfig{Global: map[string]string{"region": "g", "zone": "g"}, Hostname: "node"},
			pairs("__name__", "m", "region", "exposed", "agent_hostname", "exposed"), family{},
			`{__name__="m",agent_hostname="exposed",region="exposed",zone="g"}`},
		{"11: a label that labels deletes is added again by the global one",
			LabelConfig{Instance: map[string]string{"region": "-"}, Global: map[string]string{"region": "g"}},
			pairs("__name__", "m"), family{}, `{__name__="m",region="g"}`},
		{"13: relabel_configs see everything and win",
			LabelConfig{Hostname: "node", Relabel: rules(t, relabel.Rule{
				SourceLabels: []string{"__name__", "agent_hostname"}, TargetLabel: "agent_hostname"})},
			pairs("__name__", "m"), family{}, `{__name__="m",agent_hostname="m;node"}`},
		{"13: they can rewrite the metric name but not take it away",
			LabelConfig{Relabel: rules(t,
				relabel.Rule{TargetLabel: "__name__", Replacement: text("new")},
				relabel.Rule{Action: "labeldrop", Regex: text("__name__")})},
			pairs("__name__", "m"), family{}, `{__name__="m"}`},
		{"13: a written empty replacement deletes",
			LabelConfig{Relabel: rules(t, relabel.Rule{TargetLabel: "a", Replacement: text("")})},
			pairs("__name__", "m", "a", "1"), family{}, `{__name__="m"}`},
		{"metric_relabel_configs come last",
			LabelConfig{
				Relabel:       rules(t, relabel.Rule{TargetLabel: "a", Replacement: text("1")}),
				MetricRelabel: rules(t, relabel.Rule{Action: "drop", SourceLabels: []string{"a"}, Regex: text("1")}),
			}, pairs("__name__", "m"), family{}, ""},
		{"14: odd characters of a label name become _",
			LabelConfig{}, pairs("__name__", "m", "a.b/c-d e", "1", "ü", "2", "1x", "3"), family{},
			`{_="2",__name__="m",_x="3",a_b_c_d_e="1"}`},
		{"14: of two names that become one, that which was written so wins",
			LabelConfig{}, pairs("__name__", "m", "a.b", "1", "a_b", "2", "a-b", "3"), family{}, `{__name__="m",a_b="2"}`},
		{"14: empty labels and those with __ are left out, upper case sorts first",
			LabelConfig{}, pairs("__name__", "m", "b", "", "__tmp", "1", "A", "2"), family{}, `{A="2",__name__="m"}`},
		{"honor_labels = false renames the exposed label until the name is free",
			LabelConfig{Honor: HonorExported, Target: pairs("instance", "i"), Instance: map[string]string{"job": "j", "exported_job": "k"}},
			pairs("__name__", "m", "instance", "e", "job", "f"), family{},
			`{__name__="m",exported_exported_job="f",exported_instance="e",exported_job="k",instance="i",job="j"}`},
		{"honor_labels = true keeps exposed labels, empty ones too",
			LabelConfig{Honor: HonorExposed, Target: pairs("instance", "i"), Instance: map[string]string{"job": "j", "x": "y"}},
			pairs("__name__", "m", "instance", "", "job", "f"), family{},
			`{__name__="m",job="f",x="y"}`},
		{"values are kept byte for byte", LabelConfig{}, pairs("__name__", "m", "a", " \"\\\n☺ ", "le", "1e+06", "quantile", "0.50"), family{},
			"{__name__=\"m\",a=\" \\\"\\\\\\n☺ \",le=\"1e+06\",quantile=\"0.50\"}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			made, err := NewLabeler(tt.cfg).series(tt.exposed, tt.family)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if made.labels != nil {
				got = textOf(made.labels)
				kinglet.NewShape([]kinglet.Series{{Labels: made.labels}}) // panics if they are not final
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUpGoesThroughFiltersAndRelabelConfigs(t *testing.T) {
	text := func(s string) *string { return &s }
	cfg := LabelConfig{
		Target: pairs("instance", "i"), NamePrefix: "p", MetricsNamePrefix: "q_",
		Relabel:       rules(t, relabel.Rule{TargetLabel: "a", Replacement: text("1")}),
		MetricRelabel: rules(t, relabel.Rule{Action: "drop", SourceLabels: []string{"a"}, Regex: text("1")}),
	}
	if got, want := textOf(NewLabeler(cfg).report("up").labels), `{__name__="q_up",a="1",instance="i"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	cfg.Pass = globs(t, "kubeproxy_*")
	if got := NewLabeler(cfg).report("up").labels; got != nil {
		t.Errorf("metrics_pass left %v", got)
	}
}

func TestMetricRelabelingMayNotTakeTheNameAway(t *testing.T) {
	name := "__name__"
	cfg := LabelConfig{MetricRelabel: rules(t, relabel.Rule{Action: "labeldrop", Regex: &name})}
	if _, err := NewLabeler(cfg).series(pairs("__name__", "m"), family{}); !errors.Is(err, errNoName) {
		t.Errorf("got %v", err)
	}
}

func TestGlobsAreCategrafs(t *testing.T) {
	for _, tt := range []struct {
		name     string
		patterns []string
		match    string
		want     bool
	}{
		{"no list", nil, "a", false},
		{"exact names", []string{"a", "b"}, "b", true},
		{"braces are plain without a wildcard in the list", []string{"{a,b}"}, "a", false},
		{"a star crosses everything", []string{"a*z"}, "a.b/c_z", true},
		{"several are alternatives", []string{"a*", "b"}, "b", true},
		{"with a wildcard braces work", []string{"a*", "{b,c}"}, "c", true},
		{"a question mark is one character", []string{"a?"}, "a", false},
		{"a class", []string{"[!a]b"}, "cb", true},
		{"the whole name must match", []string{"a*"}, "ba", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := globs(t, tt.patterns...).Match(tt.match); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
	if _, err := CompileGlobs([]string{"[a*"}); err == nil {
		t.Error("a class without end was taken")
	}
}

func TestEnumsReplaceValues(t *testing.T) {
	cfg := testPage(10)
	cfg.Labels = NewLabeler(LabelConfig{Enums: []Enum{
		{globs(t, "state*"), map[float64]float64{1: 100, 1e6: 5}},
		{globs(t, "*"), map[float64]float64{1: 7, 2: 8}},
	}})
	l := newLayout(cfg, nil)
	for round, want := range []string{
		`{__name__="other"} 7 @0` + "\n" + `{__name__="state"} 100 @0`,
		`{__name__="other"} 8 @1` + "\n" + `{__name__="state"} 5 @1`,
		`{__name__="more"} 7 @2` + "\n" + `{__name__="other"} 3 @2` + "\n" + `{__name__="state"} 8 @2`,
	} {
		page := []string{"state 1\nother 1\n", "state 1000000\nother 2\n", "more 1\nstate 2\nother 3\n"}[round]
		rows, _, err := read(l, page, int64(round), 100)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for i, line := range rowLines(t, rows) {
			if i > 0 {
				got += "\n"
			}
			got += line
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("round %d: %s", round, diff)
		}
	}
}

func TestLabelsThatNoSeriesCanHaveReachNoShape(t *testing.T) {
	bad := map[string]string{"__name__": "x", "": "x", "a": "\xff", "__tmp": "x"}
	for _, anyName := range []bool{false, true} {
		cfg := testPage(1000)
		cfg.Labels = NewLabeler(LabelConfig{
			Target: pairs("__name__", "x", "", "x", "b", "\xff", "b", "2"), Instance: bad, Global: bad, Hostname: "h\xff", AnyName: anyName,
		})
		rows, _, err := read(newLayout(cfg, nil), "m 1\n", 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{`{__name__="m",a="�",agent_hostname="h�",b="�"} 1 @0`}
		if diff := cmp.Diff(want, rowLines(t, rows)); diff != "" {
			t.Errorf("any name %v: %s", anyName, diff)
		}
	}
}
