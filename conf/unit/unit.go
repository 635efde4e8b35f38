// Package unit has the field types that make durations and sizes readable in
// TOML.
package unit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration reads `"15s"`, `"1m30s"`, and a number, quoted or not, as seconds
// (`15`, `"15"`, `0.5`), as Categraf does; fractions are kept.
type Duration struct{ time.Duration }

// Seconds is n seconds.
func Seconds(n int) Duration { return Duration{time.Duration(n) * time.Second} }

// UnmarshalTOML reads a TOML string, integer or float.
func (d *Duration) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case int64:
		return d.fromSeconds(float64(v), strconv.FormatInt(v, 10))
	case float64:
		return d.fromSeconds(v, strconv.FormatFloat(v, 'g', -1, 64))
	case string:
		return d.UnmarshalText([]byte(v))
	}
	return fmt.Errorf("%v is no duration: want seconds (15) or text (\"15s\")", v)
}

// UnmarshalText reads the text forms.
func (d *Duration) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return d.fromSeconds(n, s)
	}
	parsed, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is no duration: want seconds (15) or text (\"15s\", \"1m30s\", \"500ms\")", s)
	}
	d.Duration = parsed
	return nil
}

func (d *Duration) fromSeconds(n float64, text string) error {
	if math.IsNaN(n) || math.Abs(n) > math.MaxInt64/1e9 {
		return fmt.Errorf("%s seconds is out of range", text)
	}
	d.Duration = time.Duration(math.Round(n * float64(time.Second)))
	return nil
}

// MarshalText writes the form that UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Bytes is a size. It reads a number of bytes, or text with a unit of 1024:
// `"64KiB"`, `"16MiB"`, `"1GiB"` (KB, MB, GB and K, M, G mean the same).
type Bytes int64

const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
)

// UnmarshalTOML reads a TOML string or integer.
func (b *Bytes) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case int64:
		*b = Bytes(v)
		return nil
	case string:
		return b.UnmarshalText([]byte(v))
	}
	return fmt.Errorf("%v is no size: want bytes (1048576) or text (\"1MiB\")", v)
}

// UnmarshalText reads the text forms.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	digits := strings.TrimRight(s, "KMGTiBkmgtb ")
	factor := Bytes(1)
	switch strings.ToUpper(strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(s[len(digits):])), "B"), "I")) {
	case "":
	case "K":
		factor = KiB
	case "M":
		factor = MiB
	case "G":
		factor = GiB
	default:
		return fmt.Errorf("%q is no size: want bytes (1048576) or text (\"64KiB\", \"16MiB\", \"1GiB\")", s)
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || math.IsNaN(n) || math.Abs(n)*float64(factor) > math.MaxInt64/2 {
		return fmt.Errorf("%q is no size: want bytes (1048576) or text (\"64KiB\", \"16MiB\", \"1GiB\")", s)
	}
	*b = Bytes(n * float64(factor))
	return nil
}

// String writes the size in its largest whole unit.
func (b Bytes) String() string {
	switch {
	case b != 0 && b%GiB == 0:
		return strconv.FormatInt(int64(b/GiB), 10) + "GiB"
	case b != 0 && b%MiB == 0:
		return strconv.FormatInt(int64(b/MiB), 10) + "MiB"
	case b != 0 && b%KiB == 0:
		return strconv.FormatInt(int64(b/KiB), 10) + "KiB"
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalText writes the form that UnmarshalText reads.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }
