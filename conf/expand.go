package conf

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The values of the `expand` tag.
const (
	expandAll    = "all"    // $NAME and ${NAME}
	expandBraces = "braces" // ${NAME}
)

// variables are what $NAME may stand for: the environment, $hostname and $ip.
type variables struct {
	env      func(string) (string, bool)
	hostname func() (string, error)
	ip       func() (string, error) // asked only if somebody writes $ip
}

// expand replaces the variables of s. Values go in as they are. A dollar that
// starts no variable stays. $hostname and $ip are replaced even where letters
// follow, as Categraf does.
func (v *variables) expand(s, mode string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "$")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		value, after, err := v.variable(rest, mode)
		if err != nil {
			return "", err
		}
		b.WriteString(value)
		s = after
	}
}

// variable is the value of the variable that rest, the text after a dollar,
// begins with, and the text after it.
func (v *variables) variable(rest, mode string) (value, after string, err error) {
	if inner, ok := strings.CutPrefix(rest, "{"); ok {
		name, after, closed := strings.Cut(inner, "}")
		if !closed {
			return "$", rest, nil
		}
		if nameLength(name) != len(name) || name == "" {
			return "", "", fmt.Errorf("has ${...} around what is no variable's name, want letters, digits and _ only (there are no defaults or other operators)")
		}
		value, err := v.lookup(name)
		return value, after, err
	}
	n := nameLength(rest)
	if mode != expandAll || n == 0 {
		return "$", rest, nil
	}
	for _, special := range []string{"hostname", "ip"} {
		if after, ok := strings.CutPrefix(rest, special); ok {
			value, err := v.lookup(special)
			return value, after, err
		}
	}
	value, err = v.lookup(rest[:n])
	return value, rest[n:], err
}

// lookup is the value of one variable.
func (v *variables) lookup(name string) (string, error) {
	switch name {
	case "hostname":
		return v.hostname()
	case "ip":
		return v.ip()
	}
	if value, ok := v.env(name); ok {
		if !utf8.ValidString(value) {
			return "", fmt.Errorf("has the variable %s, whose value is not UTF-8, want UTF-8", name)
		}
		return value, nil
	}
	if name == "sn" {
		return "", fmt.Errorf("uses $sn: kinglet does not read the machine's serial number, want $hostname, $ip or an environment variable")
	}
	return "", fmt.Errorf("uses the environment variable %s, which is not set; set it, or write the value", name)
}

// nameLength is how many bytes of s are a variable's name.
func nameLength(s string) int {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return i
		}
	}
	return len(s)
}
