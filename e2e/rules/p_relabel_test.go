//go:build e2e

package rules

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Section P: relabeling.
func TestRelabeling(t *testing.T) {
	t.Parallel()
	const page = `m{a="one",b="two",Up="X",pod_x="px",pod_y="py"} 1` + "\nn{a=\"other\"} 2\n"
	rules := func(rule, claim string, rules []Rule, want ...Want) {
		check(t, rule, claim, Case{Scrapes: text(page), Job: Job{MetricRelabel: rules}, Want: append([]Want{values("up", 1)}, want...)})
	}
	rules("RW-134", "rules run in order, with defaults", []Rule{
		{Source: []string{"a", "b"}, Target: "c"}, {Source: []string{"c"}, Target: "d"}, {Source: []string{"none", "a"}, Target: "e"},
	}, values(`m{c="one;two",d="one;two",e=";one"}`, 1))
	rules("RW-134", "a regex is anchored at both ends", []Rule{
		{Source: []string{"a"}, Regex: ptr("on"), Target: "c", Replacement: ptr("hit")}, {Source: []string{"a"}, Regex: ptr("ne"), Target: "d", Replacement: ptr("hit")},
		{Source: []string{"a"}, Regex: ptr("x|one"), Target: "e", Replacement: ptr("hit")},
	}, values(`m{c="",d="",e="hit"}`, 1))
	rules("RW-134", "the separator is a setting", []Rule{{Source: []string{"a", "b"}, Separator: ptr("-"), Target: "c"}}, values(`m{c="one-two"}`, 1))
	rules("RW-135", "replace expands groups, named ones too, in the target as well", []Rule{
		{Source: []string{"a", "b"}, Regex: ptr("(?P<x>.*);(.*)"), Target: "t_${2}", Replacement: ptr("$2-${x}")},
	}, values(`m{t_two="two-one"}`, 1))
	rules("RW-135", "an empty result deletes the label", []Rule{{Target: "a", Replacement: ptr("")}}, values(`m{a="",b="two"}`, 1))
	rules("RW-135", "no match or a bad target name changes nothing", []Rule{
		{Source: []string{"a"}, Regex: ptr("nothing"), Target: "b", Replacement: ptr("x")},
		{Source: []string{"Up"}, Regex: ptr("(.*)"), Target: "${9}", Replacement: ptr("x")},
	}, exactly("m", `{Up="X",__name__="m",a="one",b="two",instance="$host",job="j",pod_x="px",pod_y="py"}`))
	rules("RW-136", "keep", []Rule{{Source: []string{"a"}, Regex: ptr("one"), Action: "keep"}}, values("m", 1), none("n"))
	rules("RW-136", "drop", []Rule{{Source: []string{"a"}, Regex: ptr("one"), Action: "drop"}}, values("n", 2), none("m"))
	rules("RW-136", "keepequal", []Rule{{Target: "c", Replacement: ptr("one")}, {Source: []string{"a"}, Target: "c", Action: "keepequal"}}, values("m", 1), none("n"))
	rules("RW-136", "dropequal", []Rule{{Target: "c", Replacement: ptr("one")}, {Source: []string{"a"}, Target: "c", Action: "dropequal"}}, values("n", 2), none("m"))
	sum := md5.Sum([]byte("one;two"))
	rules("RW-137", "hashmod is the last 8 bytes of MD5", []Rule{{Source: []string{"a", "b"}, Modulus: 1000, Target: "h", Action: "hashmod"}},
		values(fmt.Sprintf(`m{h="%d"}`, binary.BigEndian.Uint64(sum[8:])%1000), 1))
	rules("RW-138", "labelmap", []Rule{{Regex: ptr("pod_(.*)"), Replacement: ptr("k_$1"), Action: "labelmap"}}, values(`m{k_x="px",k_y="py",pod_x="px"}`, 1))
	rules("RW-138", "labeldrop", []Rule{{Regex: ptr("pod_.*"), Action: "labeldrop"}}, values(`m{pod_x="",pod_y="",a="one"}`, 1))
	rules("RW-138", "labelkeep", []Rule{{Regex: ptr("__name__|a|instance"), Action: "labelkeep"}}, exactly("m", `{__name__="m",a="one",instance="$host"}`))
	rules("RW-139", "lowercase and uppercase", []Rule{
		{Source: []string{"Up"}, Target: "lo", Action: "lowercase"}, {Source: []string{"a", "b"}, Target: "hi", Action: "uppercase"},
	}, values(`m{lo="x",hi="ONE;TWO"}`, 1))
	targetRelabeling(t)
	for _, tt := range []struct {
		name  string
		rule  Rule
		names string
	}{
		{"an unknown action", Rule{Source: []string{"a"}, Action: "frobnicate"}, "frobnicate"},
		{"a replace without target", Rule{Source: []string{"a"}, Action: "replace"}, "target_label"},
		{"an invalid regex", Rule{Source: []string{"a"}, Regex: ptr("(unclosed"), Target: "b"}, "unclosed"},
	} {
		check(t, "RW-141", tt.name+" is an error at load", Case{
			Scrapes: text("fine 1\n"), Jobs: []Job{{Name: "bad", Scrapes: text("m 1\n"), MetricRelabel: []Rule{tt.rule}}},
			Run: refusesJob(tt.names),
		})
	}
	check(t, "RW-137", "modulus 0 is an error at load", Case{
		Scrapes: text("fine 1\n"),
		Jobs:    []Job{{Name: "bad", Scrapes: text("m 1\n"), MetricRelabel: []Rule{{Source: []string{"a"}, Target: "b", Action: "hashmod"}}}},
		Run:     refusesJob("modulus"),
	})
}

func targetRelabeling(t *testing.T) {
	check(t, "RW-140", "target relabeling sees the address and sets path and query", Case{
		Scrapes: text("m 1\n"), Job: Job{Query: "a=1", TargetRelabel: []Rule{
			{Source: []string{"__address__", "__scheme__", "__metrics_path__", "__param_a"}, Separator: ptr("|"), Target: "seen"},
			{Target: "__metrics_path__", Replacement: ptr("/other")}, {Target: "__param_b", Replacement: ptr("2")}, {Target: "__tmp_x", Replacement: ptr("x")},
		}},
		Want: []Want{exactly("m", `{__name__="m",instance="$host",job="j",seen="$host|http|/metrics|1"}`), everyScrape(func(s Scrape) error {
			if s.URI != "/other?a=1&b=2" {
				return fmt.Errorf("scraped %s", s.URI)
			}
			return nil
		})},
	})
	check(t, "RW-140", "it may set the instance, and the timeout", Case{
		Scrapes: text("m 1\n"), Job: Job{TargetRelabel: []Rule{
			{Target: "instance", Replacement: ptr("mine")}, {Target: "__scrape_timeout__", Replacement: ptr("700ms")},
		}},
		Until: scrapes(3),
		Want: []Want{values(`m{instance="mine"}`, 1), everyScrape(func(s Scrape) error {
			if got := s.Header.Get("X-Prometheus-Scrape-Timeout-Seconds"); got != "0.7" {
				return fmt.Errorf("timeout %s, want 0.7", got)
			}
			return nil
		})},
	})
	check(t, "RW-140", "a target that is dropped, or loses its address, is not scraped", Case{
		Scrapes: text("m 1\n"), Targets: [][]Page{text("n 1\n")}, Jobs: []Job{{Name: "k", Scrapes: text("o 1\n"), TargetRelabel: []Rule{{Regex: ptr("__address__"), Action: "labeldrop"}}}},
		Run: func(w *World) error {
			if err := w.wait(10*time.Second, rounds(1)); err != nil {
				return err
			}
			return w.Reload(func(s *Setup) {
				s.Jobs[0].TargetRelabel = []Rule{{Source: []string{"__address__"}, Regex: ptr(strings.ReplaceAll(w.host(1), ".", `\.`)), Action: "drop"}}
			})
		},
		Until: rounds(10), Want: []Want{values("m", 1), none("o"), func(w *World) error {
			if n := len(w.targets[2].seen()); n > 0 {
				return fmt.Errorf("a target without address was scraped %d times", n)
			}
			kept, dropped := w.targets[0].seen(), w.targets[1].seen()
			if n := len(dropped); n > 0 && kept[len(kept)-1].At.Sub(dropped[n-1].At) < 2500*time.Millisecond {
				return fmt.Errorf("a dropped target is still scraped, %d times by now", n)
			}
			return nil
		}},
	})
}

// refusesJob holds if the agent ends, or leaves the second job alone, and says
// why.
func refusesJob(names string) func(w *World) error {
	return func(w *World) error {
		err := w.wait(15*time.Second, func(w *World) error {
			if w.proc.ended() && w.proc.err != nil {
				return nil
			}
			return scrapes(4)(w)
		})
		if err != nil {
			return err
		}
		if n := len(w.targets[1].seen()); n > 0 {
			return fmt.Errorf("the job was scraped %d times", n)
		}
		if !strings.Contains(w.proc.log.text(), names) {
			return fmt.Errorf("the log does not name %q", names)
		}
		return nil
	}
}
