// Package relabel applies Prometheus relabeling rules to label sets. Rules are
// checked and compiled once, when a configuration is loaded, and applied once
// to every new series or target, never to a sample. The results are those of
// Prometheus' own model/relabel; a test holds the two equal.
package relabel

import (
	"crypto/md5"
	"encoding/binary"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kinglet"
)

// Rules is a compiled list of rules. It is immutable and safe for concurrent
// use; nil is the empty list.
type Rules struct {
	rules []rule
}

// rule is one Rule with its defaults filled in and its regex compiled.
type rule struct {
	text        string // for people: what the user wrote, without defaults
	action      action
	source      []string
	separator   string
	regex       *regexp.Regexp
	matchesAll  bool // regex is the default (.*)
	modulus     uint64
	target      string
	replacement string
}

// Len is the number of rules.
func (r *Rules) Len() int {
	if r == nil {
		return 0
	}
	return len(r.rules)
}

// Text is rule i, counted from 0, as a person would write it on one line.
func (r *Rules) Text(i int) string { return r.rules[i].text }

// Process runs the rules in order over labels and reports whether the series
// is kept. It works in place and may return a grown slice, as append does.
// Labels need not be sorted, and are not afterwards; no name may stand in them
// twice. Labels with an empty value are removed if there is any rule.
func (r *Rules) Process(labels []kinglet.Label) (result []kinglet.Label, keep bool) {
	result, droppedBy := r.Explain(labels)
	return result, droppedBy < 0
}

// Explain is Process, and says which rule (counted from 0, see Text) dropped
// the series; -1 if none did.
func (r *Rules) Explain(labels []kinglet.Label) (result []kinglet.Label, droppedBy int) {
	if r.Len() == 0 {
		return labels, -1
	}
	labels = slices.DeleteFunc(labels, func(l kinglet.Label) bool { return l.Value == "" })
	set := labelSet{labels: labels, base: len(labels)}
	for i := range r.rules {
		if !r.rules[i].apply(&set) {
			return set.labels, i
		}
	}
	return set.labels, -1
}

// apply runs one rule and reports whether the series is kept.
func (r *rule) apply(set *labelSet) bool {
	switch r.action {
	case labelMap:
		for _, l := range slices.Clone(set.labels) {
			if r.regex.MatchString(l.Name) {
				set.put(r.regex.ReplaceAllString(l.Name, r.replacement), l.Value)
			}
		}
		return true
	case labelDrop, labelKeep:
		set.deleteNames(func(name string) bool { return r.regex.MatchString(name) == (r.action == labelDrop) })
		return true
	}
	value := r.sourceValue(set)
	switch r.action {
	case keep:
		return r.regex.MatchString(value)
	case drop:
		return !r.regex.MatchString(value)
	case keepEqual:
		return set.get(r.target) == value
	case dropEqual:
		return set.get(r.target) != value
	case replace:
		r.replaceInto(set, value)
	case hashMod:
		sum := md5.Sum([]byte(value))
		set.put(r.target, strconv.FormatUint(binary.BigEndian.Uint64(sum[8:])%r.modulus, 10))
	case lowercase:
		set.put(r.target, strings.ToLower(value))
	case uppercase:
		set.put(r.target, strings.ToUpper(value))
	}
	return true
}

// sourceValue joins the values of the source labels.
func (r *rule) sourceValue(set *labelSet) string {
	if len(r.source) == 1 {
		return set.get(r.source[0])
	}
	var joined strings.Builder
	for i, name := range r.source {
		if i > 0 {
			joined.WriteString(r.separator)
		}
		joined.WriteString(set.get(name))
	}
	return joined.String()
}

// replaceInto sets the target to the expanded replacement if regex matches
// value. A target that expands to no label name changes nothing.
func (r *rule) replaceInto(set *labelSet, value string) {
	if r.matchesAll && !strings.Contains(r.target, "$") && !strings.Contains(r.replacement, "$") {
		set.put(r.target, r.replacement)
		return
	}
	match := r.regex.FindStringSubmatchIndex(value)
	if match == nil {
		return
	}
	target := string(r.regex.ExpandString(nil, r.target, value, match))
	if !validName(target) {
		return
	}
	set.put(target, string(r.regex.ExpandString(nil, r.replacement, value, match)))
}

// labelSet is a label set under change. Labels that a rule has set stand after
// those that came in, in the order in which they were first set: labelmap, which
// may map two labels to one name, lets the later one win.
type labelSet struct {
	labels []kinglet.Label
	base   int // labels[:base] are as they came
}

func (s *labelSet) find(name string) int {
	return slices.IndexFunc(s.labels, func(l kinglet.Label) bool { return l.Name == name })
}

// get is the value of a label, "" if there is none.
func (s *labelSet) get(name string) string {
	if i := s.find(name); i >= 0 {
		return s.labels[i].Value
	}
	return ""
}

// put sets a label; an empty value removes it.
func (s *labelSet) put(name, value string) {
	i := s.find(name)
	if i >= s.base && value != "" {
		s.labels[i].Value = value
		return
	}
	if i >= 0 {
		s.remove(i)
	}
	if value != "" {
		s.labels = append(s.labels, kinglet.Label{Name: name, Value: value})
	}
}

func (s *labelSet) remove(i int) {
	s.labels = slices.Delete(s.labels, i, i+1)
	if i < s.base {
		s.base--
	}
}

func (s *labelSet) deleteNames(gone func(name string) bool) {
	for i := len(s.labels) - 1; i >= 0; i-- {
		if gone(s.labels[i].Name) {
			s.remove(i)
		}
	}
}
