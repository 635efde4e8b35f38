package inputs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// MinInterval and MaxInterval bound the time between two scrapes: ten a second
// is more than any page changes, and a day is longer than stores look back.
const (
	MinInterval = 100 * time.Millisecond
	MaxInterval = 24 * time.Hour
)

// CheckInterval refuses an interval that is out of bounds.
func CheckInterval(d time.Duration) error {
	if d < MinInterval || d > MaxInterval {
		return fmt.Errorf("interval = %v: want 100ms to 24h", d)
	}
	return nil
}

// CheckTimes refuses an interval_times that makes the interval longer than a day.
// interval is the instance's own, 0 if it has none and standard is taken.
func CheckTimes(times int, interval, standard time.Duration) error {
	if interval > 0 {
		standard = interval
	}
	most := int64(MaxInterval / max(standard, MinInterval))
	if most > 0 && int64(times) > most {
		return fmt.Errorf("interval_times = %d: want at most %d, so that the interval is at most 24h", times, most)
	}
	return nil
}

// Limit is a bound that the user may set, under its TOML key.
type Limit struct {
	Key   string
	Value int64
}

// CheckLimits lists the limits that are below 0.
func CheckLimits(limits ...Limit) []error {
	var faults []error
	for _, l := range limits {
		if l.Value < 0 {
			faults = append(faults, fmt.Errorf("%s = %d: want 0 for no limit, or more", l.Key, l.Value))
		}
	}
	return faults
}

// CheckLabelName refuses a label name that no series can have. Characters that
// are rewritten to _ when the label is sent are taken, as Categraf takes them;
// with anyName all of UTF-8 is. Names that begin with __ are kinglet's own.
func CheckLabelName(name string, anyName bool) error {
	const want = "want letters, digits and _, not a digit first"
	switch {
	case name == "":
		return fmt.Errorf("the label name is empty: %s", want)
	case strings.HasPrefix(name, "__"):
		return fmt.Errorf("label name %q: want one that does not begin with __, which is reserved", name)
	case !utf8.ValidString(name):
		return fmt.Errorf("label name %q: want UTF-8", name)
	case anyName:
		return nil
	}
	for i, r := range Sent(name) {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9' || i == 0) {
			return fmt.Errorf("label name %q: %s", name, want)
		}
	}
	if strings.HasPrefix(Sent(name), "__") {
		return fmt.Errorf("label name %q: want one that is not sent as %s, which is reserved", name, Sent(name))
	}
	return nil
}

// Sent is a configured label name as it is sent: with _ in place of the
// characters that Categraf rewrites.
func Sent(name string) string {
	return strings.NewReplacer("-", "_", ".", "_", " ", "_", "/", "_").Replace(name)
}

// CheckLabels lists what is wrong with the labels under a key, in the order of
// their names.
func CheckLabels(key string, labels map[string]string, anyName bool) []error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if err := CheckLabelName(name, anyName); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", key, err))
		}
		if !utf8.ValidString(labels[name]) {
			faults = append(faults, fmt.Errorf("%s: the value of %q is not UTF-8: want text in UTF-8", key, name))
		}
	}
	return faults
}
