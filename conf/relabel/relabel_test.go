package relabel

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	promlabels "github.com/prometheus/prometheus/model/labels"
	promrelabel "github.com/prometheus/prometheus/model/relabel"

	"kinglet"
)

func ptr(s string) *string { return &s }

func TestProcess(t *testing.T) {
	for _, tt := range []struct {
		name string
		rule Rule
		in   string
		want string
	}{
		{"replace copies by default", Rule{SourceLabels: []string{"a"}, TargetLabel: "b"}, "a=1", "a=1 b=1"},
		{"replace expands groups into value and name", Rule{
			SourceLabels: []string{"a"}, Regex: ptr("(x)-(?P<tail>.*)"), TargetLabel: "${1}_name", Replacement: ptr("$tail"),
		}, "a=x-y", "a=x-y x_name=y"},
		{"no match changes nothing", Rule{SourceLabels: []string{"a"}, Regex: ptr("b"), TargetLabel: "c"}, "a=1", "a=1"},
		{"regex is anchored at both ends", Rule{
			SourceLabels: []string{"a"}, Regex: ptr("b|c"), TargetLabel: "d", Replacement: ptr("hit"),
		}, "a=bc", "a=bc"},
		{"an empty result deletes", Rule{SourceLabels: []string{"none"}, TargetLabel: "a"}, "a=1 b=2", "b=2"},
		{"a written empty replacement deletes", Rule{TargetLabel: "a", Replacement: ptr("")}, "a=1 b=2", "b=2"},
		{"a written empty separator joins", Rule{
			SourceLabels: []string{"a", "b"}, Separator: ptr(""), TargetLabel: "c",
		}, "a=1 b=2", "a=1 b=2 c=12"},
		{"the default separator joins", Rule{SourceLabels: []string{"a", "none", "b"}, TargetLabel: "c"}, "a=1 b=2", "a=1 b=2 c=1;;2"},
		{"keep keeps a match", Rule{Action: "keep", SourceLabels: []string{"a"}, Regex: ptr("1")}, "a=1", "a=1"},
		{"keep drops what does not match", Rule{Action: "keep", SourceLabels: []string{"a"}, Regex: ptr("2")}, "a=1", "dropped"},
		{"drop drops a match", Rule{Action: "drop", SourceLabels: []string{"a"}, Regex: ptr("1")}, "a=1", "dropped"},
		{"keepequal", Rule{Action: "keepequal", SourceLabels: []string{"a"}, TargetLabel: "b"}, "a=1 b=2", "dropped"},
		{"dropequal", Rule{Action: "DropEqual", SourceLabels: []string{"a"}, TargetLabel: "b"}, "a=1 b=1", "dropped"},
		{"hashmod", Rule{Action: "hashmod", SourceLabels: []string{"a"}, TargetLabel: "b", Modulus: 1000}, "a=foo", "a=foo b=696"},
		{"labelmap", Rule{Action: "labelmap", Regex: ptr("meta_(.+)")}, "meta_a=1 b=2", "b=2 meta_a=1 a=1"},
		{"labeldrop", Rule{Action: "labeldrop", Regex: ptr("a.*")}, "a=1 ab=2 b=3", "b=3"},
		{"labelkeep", Rule{Action: "labelkeep", Regex: ptr("a.*")}, "a=1 ab=2 b=3", "a=1 ab=2"},
		{"lowercase", Rule{Action: "lowercase", SourceLabels: []string{"a"}, TargetLabel: "a"}, "a=ÄB", "a=äb"},
		{"uppercase", Rule{Action: "UPPERCASE", SourceLabels: []string{"a"}, TargetLabel: "b"}, "a=ab", "a=ab b=AB"},
		{"empty labels disappear once a rule runs", Rule{Action: "labeldrop", Regex: ptr("none")}, "a= b=1", "b=1"},
		{"the metric name is a label", Rule{
			SourceLabels: []string{"__name__"}, Regex: ptr("go_(.*)"), TargetLabel: "__name__", Replacement: ptr("golang_$1"),
		}, "__name__=go_threads", "__name__=golang_threads"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules, err := Compile([]Rule{tt.rule})
			if err != nil {
				t.Fatal(err)
			}
			got, keep := rules.Process(labelsOf(tt.in))
			if text := format(got, keep); text != sortWords(tt.want) {
				t.Errorf("got %q, want %q", text, sortWords(tt.want))
			}
		})
	}
}

func TestExplainNamesTheRuleThatDropped(t *testing.T) {
	rules, err := Compile([]Rule{
		{TargetLabel: "b", Replacement: ptr("x")},
		{Action: "drop", SourceLabels: []string{"b"}, Regex: ptr("x")},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, by := rules.Explain(labelsOf("a=1"))
	if by != 1 || rules.Text(by) != `action = "drop", source_labels = ["b"], regex = "x"` {
		t.Errorf("dropped by %d, %s", by, rules.Text(max(by, 0)))
	}
}

func TestNoRulesChangeNothing(t *testing.T) {
	var none *Rules
	got, keep := none.Process(labelsOf("a= b=1"))
	if !keep || len(got) != 2 {
		t.Errorf("got %v, %v", got, keep)
	}
}

func TestCompileListsEveryFault(t *testing.T) {
	_, err := Compile([]Rule{
		{Action: "replce", TargetLabel: "a"},
		{Regex: ptr("("), TargetLabel: "a"},
		{Action: "hashmod"},
		{Action: "lowercase"},
		{TargetLabel: "a\xff"},
	})
	want := `rule 1: action = "replce": want one of replace, keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase, uppercase
rule 2: regex = "(": error parsing regexp: missing closing ): ` + "`(`" + `
rule 3: modulus = 0: action hashmod wants 1 or more
rule 3: target_label is missing: action hashmod wants one
rule 4: target_label is missing: action lowercase wants one
rule 5: target_label = "a\xff": want valid UTF-8`
	if err == nil {
		t.Fatal("bad rules were taken")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

// FuzzAsPrometheus holds the package equal to Prometheus' own relabeling.
func FuzzAsPrometheus(f *testing.F) {
	actions := actionNames()
	for i := range actions {
		f.Add(uint8(i), "a,b", ";", "(.*)", uint64(7), "c", "$1", "a=1 b=2 c=3", uint8(i+1), "b", "x(.)", "a", "y$1")
		f.Add(uint8(i), "__name__", "", "m(e)?(.*)", uint64(3), "${2}", "$1$2", "__name__=metric job=x e=", uint8(3), "job", ".*", "job", "")
		f.Add(uint8(i), "a", ";", "(a|b)", uint64(1), "same", "same", "a=1 b=2", uint8(6), "", "(.)", "", "same")
	}
	f.Fuzz(func(t *testing.T, action uint8, source, separator, regex string, modulus uint64, target, replacement, series string,
		action2 uint8, source2, regex2, target2, replacement2 string,
	) {
		rules := []Rule{
			{split(source), &separator, &regex, modulus, target, &replacement, string(actions[int(action)%len(actions)])},
			{split(source2), nil, &regex2, modulus, target2, &replacement2, string(actions[int(action2)%len(actions)])},
		}
		compiled, err := Compile(rules)
		if err != nil {
			return // refusing a rule is fine; a different result is not
		}
		in := labelsOf(series)
		wantText := prometheusResult(t, rules, in)
		got, keep := compiled.Process(in)
		if !keep {
			got = nil
		}
		if text := format(got, keep); text != wantText {
			t.Errorf("rules %v\nseries %q\ngot  %q\nwant %q", rules, series, text, wantText)
		}
	})
}

func prometheusResult(t *testing.T, rules []Rule, in []kinglet.Label) string {
	t.Helper()
	var cfgs []*promrelabel.Config
	for _, r := range rules {
		cfg := promrelabel.DefaultRelabelConfig
		cfg.NameValidationScheme = model.UTF8Validation
		for _, name := range r.SourceLabels {
			cfg.SourceLabels = append(cfg.SourceLabels, model.LabelName(name))
		}
		if r.Separator != nil {
			cfg.Separator = *r.Separator
		}
		if *r.Regex != "(.*)" {
			regex, err := promrelabel.NewRegexp(*r.Regex)
			if err != nil {
				t.Fatalf("regex %q was taken: %v", *r.Regex, err)
			}
			cfg.Regex = regex
		}
		cfg.Modulus, cfg.TargetLabel, cfg.Replacement = r.Modulus, r.TargetLabel, *r.Replacement
		cfg.Action = promrelabel.Action(r.Action)
		cfgs = append(cfgs, &cfg)
	}
	var base []promlabels.Label
	for _, l := range in {
		base = append(base, promlabels.Label{Name: l.Name, Value: l.Value})
	}
	builder := promlabels.NewBuilder(promlabels.New(base...))
	if !promrelabel.ProcessBuilder(builder, cfgs...) {
		return "dropped"
	}
	var out []kinglet.Label
	builder.Labels().Range(func(l promlabels.Label) { out = append(out, kinglet.Label{Name: l.Name, Value: l.Value}) })
	return format(out, true)
}

// labelsOf reads "a=1 b=2", sorted by name, the first of a name.
func labelsOf(text string) []kinglet.Label {
	var labels []kinglet.Label
	for _, word := range strings.Fields(text) {
		name, value, _ := strings.Cut(word, "=")
		if name != "" && !slices.ContainsFunc(labels, func(l kinglet.Label) bool { return l.Name == name }) {
			labels = append(labels, kinglet.Label{Name: name, Value: value})
		}
	}
	slices.SortFunc(labels, func(a, b kinglet.Label) int { return strings.Compare(a.Name, b.Name) })
	return labels
}

func format(labels []kinglet.Label, keep bool) string {
	if !keep {
		return "dropped"
	}
	words := make([]string, 0, len(labels))
	for _, l := range labels {
		words = append(words, fmt.Sprintf("%s=%s", l.Name, l.Value))
	}
	return sortWords(strings.Join(words, " "))
}

func sortWords(text string) string {
	words := strings.Fields(text)
	slices.Sort(words)
	return strings.Join(words, " ")
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}
