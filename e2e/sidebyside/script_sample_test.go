//go:build e2e

package sidebyside

import (
	"fmt"
	"strings"
)

func timestampTargets() []*target {
	return []*target{
		plain("stamped", job{}, stamped),
		plain("stamped-tracked", job{trackStaleness: true}, stamped),
		plain("stamped-ignored", job{ignoreTimestamps: true}, stamped),
		plain("stamped-backwards", job{}, stampedBackwards),
		plain("values", job{}, values),
		plain("duplicates", job{}, duplicates),
	}
}

// stamped has series with timestamps, which vanish and return, beside others.
func stamped(s *request) page {
	lines := []string{"unstamped 1", fmt.Sprintf("stamped_lately %d %d", s.K, s.stamp(-125))}
	if !within(s.K, 10, 14) {
		lines = append(lines, fmt.Sprintf("stamped_past{a=\"b\"} %d %d", s.K, s.stamp(-500)))
	}
	if s.K > 3 && s.K%2 == 0 { // with and without
		lines = append(lines, fmt.Sprintf("stamped_at_times %d %d", s.K, s.stamp(-500)))
	} else {
		lines = append(lines, fmt.Sprintf("stamped_at_times %d", s.K))
	}
	if s.K == 25 || s.K == 26 {
		return page{status: 500}
	}
	return text(lines...)
}

// stampedBackwards has timestamps that go back or stand still, now and then.
func stampedBackwards(s *request) page {
	back, still, value := s.stamp(-500), s.stamp(-500), s.K
	if s.K%5 == 3 {
		back = s.stamp(-1875) // before that of the last request
	}
	if s.K%5 == 4 {
		still = s.stampBefore(-500)
	}
	if s.K%10 == 4 {
		value = s.K - 1 // as it was
	}
	return text(
		fmt.Sprintf("stamped_back %d %d", s.K, back), fmt.Sprintf("stamped_still %d %d", value, still),
		fmt.Sprintf("stamped_same %d %d", s.K, s.stamp(-250)), fmt.Sprintf("stamped_same %d %d", s.K+1, s.stamp(-250)),
		fmt.Sprintf("unstamped %d", s.K),
	)
}

// values are numbers that are easily changed on their way.
func values(s *request) page {
	texts := []string{
		"0", "-0", "1", "-1", "0.1", "0.30000000000000004", "1.7976931348623157e+308", "-1.7976931348623157e308", "5e-324",
		"2.2250738585072014e-308", "2.225073858507201e-308", "NaN", "nan", "+Inf", "-Inf", "Inf", "inf", "+5", "1e3", "1E3", ".5", "5.",
		"9007199254740993", "18446744073709551615", "123456789.123456789", "1e-400", "-1e-400", "4.35", "1.7952553984793293e+09",
		"0.000001", "1e22", "1e23", "8.41e21", "9.5367431640625e-07", "infinity", "+0",
	}
	var lines []string
	for i := range texts {
		lines = append(lines, fmt.Sprintf(`value{i="%d"} %s`, i, texts[(i+s.K)%len(texts)]))
		lines = append(lines, fmt.Sprintf(`still{i="%d"} %s`, i, texts[i]))
	}
	if s.K == 45 {
		lines = append([]string{"too_large 1e400"}, lines...)
	}
	return text(lines...)
}

// duplicates are lines of one series.
func duplicates(s *request) page {
	return text(
		fmt.Sprintf("twice %d", s.K), fmt.Sprintf("twice %d", s.K+1), fmt.Sprintf("twice %d", s.K),
		fmt.Sprintf(`turned{a="1",b="2"} %d`, s.K), fmt.Sprintf(`turned{b="2",a="1"} %d`, s.K+1),
		fmt.Sprintf(`blank{a=""} %d`, s.K), fmt.Sprintf("blank %d", s.K+1),
		fmt.Sprintf("stamped_twice %d %d", s.K, s.stamp(-500)), fmt.Sprintf("stamped_twice %d %d", s.K+1, s.stamp(-250)),
		fmt.Sprintf("at_times %d", s.K), strings.Repeat(fmt.Sprintf("at_times %d\n", s.K), s.K%3),
		"constant 1", "constant 1",
	)
}

func labelTargets() []*target {
	conflicting := func(s *request) page {
		return text(
			fmt.Sprintf(`m{job="exposed",instance="there",zone="a"} %d`, s.K), fmt.Sprintf(`m{job="exposed",exported_job="older"} %d`, s.K),
			fmt.Sprintf(`m{instance="",job=""} %d`, s.K), fmt.Sprintf(`m{exported_instance="x"} %d`, s.K), `m 5`,
			`m{exported_exported_job="1",exported_job="2",job="3"} 1`,
		)
	}
	return []*target{
		plain("conflicts", job{}, conflicting),
		plain("conflicts-honored", job{honorLabels: true}, conflicting),
		plain("own-names", job{}, func(s *request) page {
			return text("up 7", `up{which="exposed"} 7`, "scrape_samples_scraped 8", `scrape_samples_scraped{which="exposed"} 8`, fmt.Sprintf("m %d", s.K))
		}),
		plain("utf8", job{asPrometheus: map[string]any{"metric_name_validation": "utf8"}}, utf8Names),
		plain("utf8-rewritten", job{}, utf8Names),
		plain("escapes", job{}, escapes),
		plain("relabeled", job{relabel: relabeling()}, relabeled),
		plain("unnamed", job{relabel: []rule{{Source: []string{"__name__"}, Regex: "nameless", Target: "__name__", Replacement: "-"}}},
			func(s *request) page {
				if within(s.K, 10, 11) {
					return text(append([]string{"nameless 1"}, counting(s.K)...)...)
				}
				return text(counting(s.K)...)
			}),
	}
}

func utf8Names(s *request) page {
	return text(
		fmt.Sprintf(`{"dotted.name","label with space"="v"} %d`, s.K), fmt.Sprintf(`{"größe","ünit"="km"} %d`, s.K),
		fmt.Sprintf(`plain{"dotted.label"="1",usual="2"} %d`, s.K), `{"quoted_plain"} 1`, "# TYPE \"dotted.name\" gauge",
	)
}

func escapes(s *request) page {
	return text(
		`m{v="back\\slash"} 1`, `m{v="quo\"te"} 2`, `m{v="new\nline"} 3`, `m{v="other\t"} 4`, "m{v=\"nul\x00byte\"} 5", `m{v="日本 🙂"} 6`,
		`m{v="`+strings.Repeat("long ", 2000)+`"} 7`, `m  {  v = "blanks" , w="x" , }   8  `, "m{v=\"tab\"}\t9", "m{v=\" padded \"} 10", "m{} 11",
		`m{v="#{}=,"} 12`, "# HELP m text with \\\\ and \\n", "#not a comment of any kind", fmt.Sprintf("n %d", s.K),
	)
}

func relabeling() []rule {
	name := []string{"__name__"}
	return []rule{
		{Source: name, Regex: "dropped_.*", Action: "drop"},
		{Source: name, Regex: "old_(.*)", Target: "__name__", Replacement: "new_$1"},
		{Regex: "secret.*", Action: "labeldrop"},
		{Source: []string{"a", "b"}, Separator: "/", Regex: "(.+)/(.+)", Target: "joined", Replacement: "${2}-$1"},
		{Source: []string{"pod"}, Modulus: 8, Target: "shard", Action: "hashmod"},
		{Source: []string{"case"}, Target: "case", Action: "lowercase"},
		{Regex: "meta_(.+)", Action: "labelmap"},
		{Source: []string{"gone"}, Regex: ".+", Target: "gone", Replacement: "-"},
		{Source: []string{"only"}, Regex: "yes|", Action: "keep"},
	}
}

// relabeled brings new series in every request, so that rules meet known ones
// and unknown ones.
func relabeled(s *request) page {
	return text(
		fmt.Sprintf("dropped_one %d", s.K), fmt.Sprintf(`dropped_two{k="%d"} 1`, s.K), fmt.Sprintf("old_name %d", s.K),
		fmt.Sprintf(`old_name{k="%d"} 1`, s.K/5), `m{secret="x",secrets="y",open="z"} 1`, fmt.Sprintf(`m{a="%d",b="x"} 1`, s.K%3),
		fmt.Sprintf(`m{pod="pod-%d"} %d`, s.K%10, s.K), `m{case="UPPER"} 1`, `m{meta_zone="z",meta_="none"} 1`, `m{gone="x",stay="y"} 1`,
		fmt.Sprintf(`m{only="%s"} 1`, []string{"yes", "no"}[s.K/4%2]),
		// Two lines that relabeling makes one series.
		fmt.Sprintf(`same{secret="1"} %d`, s.K), fmt.Sprintf(`same{secret="2"} %d`, s.K+1),
	)
}
