package kinglet

import (
	"bytes"
	"strings"
)

// Names says what is known of the names in a label set.
type Names uint8

const (
	NamesUnknown Names = iota // they are looked at when a shape is made
	NamesLegacy               // they are final, and see LegacyNames
)

var metricName = []byte(MetricNameLabel)

// LegacyNames reports whether the metric and all labels of an encoded label set
// have names that remote write 1.0 allows (RW-31). It panics on damaged labels.
func LegacyNames(encoded []byte) bool {
	for len(encoded) > 0 {
		var name, value []byte
		name, value, encoded = CutLabel(encoded)
		if bytes.Equal(name, metricName) && !LegacyName(value, true) || !LegacyName(name, false) {
			return false
		}
	}
	return true
}

// LegacyName reports whether remote write 1.0 allows a name, of a metric or a
// label.
func LegacyName[T string | []byte](name T, metric bool) bool {
	for i := range len(name) {
		if !LegacyByte(name[i], i == 0, metric) {
			return false
		}
	}
	return true
}

// LegacyByte reports whether such a name may have c, or begin with it.
func LegacyByte(c byte, first, metric bool) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || !first && c >= '0' && c <= '9' || metric && c == ':'
}

// ToLegacyName is name with an underscore in the place of each character that
// remote write 1.0 does not allow there.
func ToLegacyName(name string, metric bool) string {
	if LegacyName(name, metric) {
		return name
	}
	var legacy strings.Builder
	for i, r := range name {
		if r >= 0x80 || !LegacyByte(byte(r), i == 0, metric) {
			r = '_'
		}
		legacy.WriteRune(r)
	}
	return legacy.String()
}
