package unit

import (
	"math"
	"testing"
	"time"
)

func TestDurationReadsWhatCategrafReads(t *testing.T) {
	for _, tt := range []struct {
		in   any
		want time.Duration
	}{
		{int64(15), 15 * time.Second},
		{int64(0), 0},
		{int64(-3), -3 * time.Second},
		{0.5, 500 * time.Millisecond},
		{2.9, 2900 * time.Millisecond},
		{"15", 15 * time.Second},
		{" 0.25 ", 250 * time.Millisecond},
		{"15s", 15 * time.Second},
		{"1m30s", 90 * time.Second},
		{"500ms", 500 * time.Millisecond},
		{"2h", 2 * time.Hour},
	} {
		var d Duration
		if err := d.UnmarshalTOML(tt.in); err != nil || d.Duration != tt.want {
			t.Errorf("%#v: %v, %v, want %v", tt.in, d, err, tt.want)
		}
	}
}

func TestDurationRefuses(t *testing.T) {
	for _, in := range []any{
		"", "soon", "1d", "15 s", true, []any{int64(1)}, int64(math.MaxInt64), math.Inf(1), math.NaN(), "inf", "nan", "1e300", time.Time{},
	} {
		var d Duration
		if err := d.UnmarshalTOML(in); err == nil {
			t.Errorf("%#v: %v, want an error", in, d)
		}
	}
}

func TestBytes(t *testing.T) {
	for _, tt := range []struct {
		in    any
		want  Bytes
		text  string
		fails bool
	}{
		{in: int64(0), want: 0, text: "0"},
		{in: int64(1000), want: 1000, text: "1000"},
		{in: "1000", want: 1000, text: "1000"},
		{in: "64KiB", want: 64 << 10, text: "64KiB"},
		{in: "64 kb", want: 64 << 10, text: "64KiB"},
		{in: "16MiB", want: 16 << 20, text: "16MiB"},
		{in: "16M", want: 16 << 20, text: "16MiB"},
		{in: "1.5GiB", want: 1536 << 20, text: "1536MiB"},
		{in: "1TiB", fails: true},
		{in: "MiB", fails: true},
		{in: "1KK", fails: true},
		{in: "", fails: true},
		{in: "much", fails: true},
		{in: "inf", fails: true},
		{in: "9e18GiB", fails: true},
		{in: true, fails: true},
		{in: 1.5, fails: true},
	} {
		var b Bytes
		err := b.UnmarshalTOML(tt.in)
		if (err != nil) != tt.fails || b != tt.want {
			t.Errorf("%#v: %d, %v, want %d", tt.in, b, err, tt.want)
		}
		if !tt.fails && b.String() != tt.text {
			t.Errorf("%#v: prints as %s, want %s", tt.in, b, tt.text)
		}
	}
}

// FuzzText: what a unit prints, it reads back as the same.
func FuzzText(f *testing.F) {
	for _, s := range []string{"15", "15s", "1m30s", "0.5", "64KiB", "16MiB", "1.5GiB", "-1", "1e9", "0x1p4", "1_0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var d, d2 Duration
		if d.UnmarshalText([]byte(s)) == nil {
			text, err := d.MarshalText()
			if err != nil || d2.UnmarshalText(text) != nil || d2 != d {
				t.Errorf("%q: %v, then %v", s, d, d2)
			}
		}
		var b, b2 Bytes
		if b.UnmarshalText([]byte(s)) == nil {
			text, err := b.MarshalText()
			if err != nil || b2.UnmarshalText(text) != nil || b2 != b {
				t.Errorf("%q: %v, then %v", s, b, b2)
			}
		}
	})
}
