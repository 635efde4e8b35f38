//go:build e2e

package rules

import (
	"fmt"
	"strings"
	"testing"
)

// Section D: labels.
func TestLabels(t *testing.T) {
	t.Parallel()
	check(t, "RW-26", "a series comes with its whole label set, in each request", Case{
		Scrapes: text(`m{a="1",b="2"} 1` + "\n"), Job: Job{Labels: map[string]string{"zone": "z"}}, Until: posts(3),
		Want: []Want{exactly("m", `{__name__="m",a="1",b="2",instance="$host",job="j",zone="z"}`)},
	})
	check(t, "RW-27", "labels are sorted bytewise, upper case before __name__ before lower case", Case{
		Scrapes: text(`m{z="1",Z="2",a="3",A="4",_x="5",a1="6",aB="7",ab="8"} 1` + "\n"),
		Want:    []Want{values("m", 1), everySample(func(s Sample) error { return sortedUnique(s.Labels) })},
	})
	check(t, "RW-28", "no label occurs twice when page and target have the same", Case{
		Scrapes: text(`m{job="mine",instance="mine",exported_job="x"} 1` + "\n"), Job: Job{HonorLabels: ptr(false)},
		Want: []Want{values("m", 1), everySample(func(s Sample) error { return sortedUnique(s.Labels) })},
	})
	check(t, "RW-29", "a label with an empty value is left out", Case{
		Scrapes: text(`m{a="",b="2"} 1` + "\n"),
		Want: []Want{exactly("m", `{__name__="m",b="2",instance="$host",job="j"}`), everySample(func(s Sample) error {
			for _, l := range s.Labels {
				if l.Name == "" || l.Value == "" {
					return fmt.Errorf("label %q=%q", l.Name, l.Value)
				}
			}
			return nil
		})},
	})
	check(t, "RW-30", "every series has a name", Case{
		Scrapes: text("m 1\nn 2\n"), Want: []Want{values("m", 1), everySample(func(s Sample) error {
			if s.Get("__name__") == "" {
				return fmt.Errorf("no __name__")
			}
			return nil
		})},
	})
	check(t, "RW-31", "1.0 never carries names outside the classic alphabet", Case{
		Scrapes: text("ok 1\n{\"utf.8 name\",\"label.x\"=\"1\"} 2\n"), Writer: Writer{Message: "1.0"}, Until: posts(3),
		Want: []Want{everySample(func(s Sample) error {
			for _, l := range s.Labels {
				if !labelName.MatchString(l.Name) || l.Name == "__name__" && !metricName.MatchString(l.Value) {
					return fmt.Errorf("%q=%q in a 1.0 request", l.Name, l.Value)
				}
			}
			return nil
		})},
	})
	check(t, "RW-31", "2.0 carries UTF-8 names", Case{
		Scrapes: text("{\"utf.8 ñame\",\"label.x\"=\"1\"} 2\n"), Writer: Writer{Message: "2.0"},
		Want: []Want{everyRequest(isV2), values(`{__name__="utf.8 ñame",label.x="1"}`, 2)},
		Unless: map[string]Deviation{"kinglet": {
			Claim: "names outside the classic alphabet are rewritten to it, in 2.0 too", Want: []Want{everyRequest(isV2), values(`utf_8__ame{label_x="1"}`, 2)},
		}},
	})
	long := strings.Repeat("x", 10<<10)
	check(t, "RW-32", "label values are kept byte for byte", Case{
		Scrapes: text(`m{emoji="😀",q="a\"b",bs="a\\b",nl="a\nb",sp="  two  ",C="MiXed",long="` + long + `"} 1` + "\n"),
		Want:    []Want{values(`m{emoji="😀",q="a\"b",bs="a\\b",nl="a\nb",sp="  two  ",C="MiXed",long="`+long+`"}`, 1)},
	})
	check(t, "RW-33", "no label beginning with __ leaves but __name__", Case{
		Scrapes: text(`m{a="1"} 1` + "\n"),
		Job:     Job{TargetRelabel: []Rule{{Source: []string{"__address__"}, Target: "__tmp_x"}}},
		Want: []Want{values("m", 1), everySample(func(s Sample) error {
			for _, l := range s.Labels {
				if strings.HasPrefix(l.Name, "__") && l.Name != "__name__" {
					return fmt.Errorf("label %s", l.Name)
				}
			}
			return nil
		})},
	})
	check(t, "RW-33", "an exposed label beginning with __ stays behind", Case{
		Scrapes: text(`m{__x="1",a="1"} 1` + "\n"), Want: []Want{exactly("m", `{__name__="m",a="1",instance="$host",job="j"}`)},
	})
	check(t, "RW-34", "external labels are added and never override", Case{
		Scrapes: text("m 1\nn{zone=\"mine\"} 2\n"), Writer: Writer{External: map[string]string{"zone": "ext", "cluster": "c"}},
		Want: []Want{
			exactly("m", `{__name__="m",cluster="c",instance="$host",job="j",zone="ext"}`),
			exactly("n", `{__name__="n",cluster="c",instance="$host",job="j",zone="mine"}`),
			values(`up{zone="ext"}`, 1),
		},
	})
	check(t, "RW-35", "write relabeling sees external labels and may drop", Case{
		Scrapes: text("m 1\nn 2\n"),
		Writer: Writer{External: map[string]string{"zone": "ext"}, Relabel: []Rule{
			{Source: []string{"__name__"}, Regex: ptr("n"), Action: "drop"},
			{Source: []string{"zone"}, Regex: ptr("(.*)"), Target: "seen", Replacement: ptr("was $1")},
		}},
		Want: []Want{values(`m{seen="was ext",zone="ext"}`, 1), none("n"), values("up", 1, 1)},
	})
}
