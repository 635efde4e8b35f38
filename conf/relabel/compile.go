package relabel

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// action is what a rule does.
type action string

const (
	replace   action = "replace"
	keep      action = "keep"
	drop      action = "drop"
	keepEqual action = "keepequal"
	dropEqual action = "dropequal"
	hashMod   action = "hashmod"
	labelMap  action = "labelmap"
	labelDrop action = "labeldrop"
	labelKeep action = "labelkeep"
	lowercase action = "lowercase"
	uppercase action = "uppercase"
)

// actionNames lists the actions in the order of messages.
func actionNames() []action {
	return []action{
		replace, keep, drop, keepEqual, dropEqual, hashMod, labelMap, labelDrop, labelKeep, lowercase, uppercase,
	}
}

const defaultRegex = "(.*)"

// Compile checks and compiles rules. The error joins every fault, each naming
// the rule, counted from 1, and the field; it can be unwrapped to []error.
func Compile(rules []Rule) (*Rules, error) {
	compiled := &Rules{rules: make([]rule, 0, len(rules))}
	var faults []error
	for i, written := range rules {
		r, err := written.compile()
		for _, fault := range err {
			faults = append(faults, fmt.Errorf("rule %d: %w", i+1, fault))
		}
		compiled.rules = append(compiled.rules, r)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return compiled, nil
}

// compile fills in the defaults and lists what is wrong.
func (w Rule) compile() (rule, []error) {
	r := rule{
		text:        w.String(),
		action:      action(strings.ToLower(orDefault(nonEmpty(w.Action), string(replace)))),
		source:      w.SourceLabels,
		separator:   orDefault(w.Separator, ";"),
		modulus:     w.Modulus,
		target:      w.TargetLabel,
		replacement: orDefault(w.Replacement, "$1"),
	}
	var faults []error
	if !slices.Contains(actionNames(), r.action) {
		faults = append(faults, fmt.Errorf("action = %q: want one of %s", w.Action, joinActions()))
	}
	pattern := orDefault(w.Regex, defaultRegex)
	r.matchesAll = pattern == defaultRegex
	var err error
	if r.regex, err = regexp.Compile("^(?s:" + pattern + ")$"); err != nil {
		faults = append(faults, fmt.Errorf("regex = %q: %w", pattern, regexFault(pattern, err)))
	}
	if r.action == hashMod && r.modulus == 0 {
		faults = append(faults, errors.New("modulus = 0: action hashmod wants 1 or more"))
	}
	switch r.action {
	case replace, hashMod, keepEqual, dropEqual, lowercase, uppercase:
		if r.target == "" {
			faults = append(faults, fmt.Errorf("target_label is missing: action %s wants one", r.action))
		} else if !validName(r.target) {
			faults = append(faults, fmt.Errorf("target_label = %q: want valid UTF-8", r.target))
		}
	}
	return r, faults
}

// regexFault prefers the message about the pattern as the user wrote it, which
// does not show the anchors.
func regexFault(pattern string, anchored error) error {
	if _, err := regexp.Compile(pattern); err != nil {
		return err
	}
	return anchored
}

// String is the rule on one line, in TOML, with only the written fields.
func (w Rule) String() string {
	var fields []string
	add := func(key, format string, value any) {
		fields = append(fields, fmt.Sprintf("%s = "+format, key, value))
	}
	add("action", "%q", orDefault(nonEmpty(w.Action), string(replace)))
	if len(w.SourceLabels) > 0 {
		quoted := make([]string, len(w.SourceLabels))
		for i, name := range w.SourceLabels {
			quoted[i] = fmt.Sprintf("%q", name)
		}
		add("source_labels", "[%s]", strings.Join(quoted, ", "))
	}
	if w.Separator != nil {
		add("separator", "%q", *w.Separator)
	}
	if w.Regex != nil {
		add("regex", "%q", *w.Regex)
	}
	if w.Modulus != 0 {
		add("modulus", "%d", w.Modulus)
	}
	if w.TargetLabel != "" {
		add("target_label", "%q", w.TargetLabel)
	}
	if w.Replacement != nil {
		add("replacement", "%q", *w.Replacement)
	}
	return strings.Join(fields, ", ")
}

// validName reports whether a label may have that name. As in Prometheus 3
// that is any UTF-8; what the wire cannot carry is rewritten later.
func validName(name string) bool { return name != "" && utf8.ValidString(name) }

func orDefault(written *string, otherwise string) string {
	if written == nil {
		return otherwise
	}
	return *written
}

func nonEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func joinActions() string {
	names := make([]string, 0, 11)
	for _, a := range actionNames() {
		names = append(names, string(a))
	}
	return strings.Join(names, ", ")
}
