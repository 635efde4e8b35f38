package promtext

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"kinglet"
)

// checkValue compares ParseValue with strconv.ParseFloat, bit for bit.
func checkValue(t *testing.T, text string) {
	t.Helper()
	got, err := ParseValue([]byte(text))
	want, wantErr := strconv.ParseFloat(text, 64)
	if (err == nil) != (wantErr == nil) || err == nil && math.Float64bits(got) != math.Float64bits(want) {
		t.Fatalf("%q: %x %v, want %x %v", text, math.Float64bits(got), err, math.Float64bits(want), wantErr)
	}
}

func TestParseValueIsParseFloat(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	formats := []byte("eEfgG")
	for range 200_000 {
		var f float64
		switch r.IntN(5) {
		case 0:
			f = math.Float64frombits(r.Uint64())
			if math.IsNaN(f) {
				continue
			}
		case 1:
			f = float64(r.Int64N(1 << (1 + r.UintN(62))))
		case 2:
			f = float64(r.Int64N(1<<40)) / math.Pow10(r.IntN(12))
		case 3:
			f = r.NormFloat64()
		case 4:
			f = r.ExpFloat64() * math.Pow10(r.IntN(40)-20)
		}
		checkValue(t, strconv.FormatFloat(f, formats[r.IntN(len(formats))], r.IntN(24)-1, 64))
	}
}

func TestParseValueIsParseFloatOnGarble(t *testing.T) {
	const letters = "0123456789000111+-..eE"
	r := rand.New(rand.NewPCG(5, 6))
	for range 300_000 {
		text := make([]byte, r.IntN(12))
		for i := range text {
			text[i] = letters[r.IntN(len(letters))]
		}
		checkValue(t, string(text))
	}
}

func TestParseValueReads(t *testing.T) {
	for text, want := range map[string]float64{
		"0": 0, "-0": math.Copysign(0, -1), "+1": 1, "1.": 1, ".5": 0.5, "1e+09": 1e9, "1E-3": 1e-3,
		"Inf": math.Inf(1), "+inf": math.Inf(1), "-INF": math.Inf(-1), "infinity": math.Inf(1), // RW-119
		"NaN": kinglet.NaN(), "nan": kinglet.NaN(), "NAN": kinglet.NaN(), // RW-38
		"1.7976931348623157e+308": math.MaxFloat64, "2.2250738585072014e-308": 2.2250738585072014e-308, "5e-324": 5e-324, // RW-37
		"9007199254740993": 9007199254740992, "9007199254740992e22": 9007199254740992e22, "0.1": 0.1, "123456789012345678901234567890": 123456789012345678901234567890,
		"0.000000000000000000000000000000000000000000000001": 1e-48,
	} {
		got, err := ParseValue([]byte(text))
		if err != nil || math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%q: %v %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", ".", "e5", "1e", "1e+", "+nan", "0x10", "0x1p1", "1_0", "_1", "1e400", "1,5", "1 ", "true", "StaleNaN", "1p5"} { // RW-119
		if got, err := ParseValue([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestParseTimestampReadsDigitsOnly(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "0012": 12, "1700000000123": 1700000000123, "9223372036854775807": math.MaxInt64, "00000000000000000000001": 1} {
		if got, err := ParseTimestamp([]byte(text)); got != want || err != nil {
			t.Errorf("%q: %d %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "+1", "1.5", "9223372036854775808", "99999999999999999999", "1e3"} {
		if got, err := ParseTimestamp([]byte(text)); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}

func TestReadSampleIsAfterSeriesAndTheNumbers(t *testing.T) {
	const letters = "0123456789 01  .-eN\t+\r"
	r := rand.New(rand.NewPCG(11, 12))
	for range 300_000 {
		rest := []byte{' '}
		for range r.IntN(24) {
			rest = append(rest, letters[r.IntN(len(letters))])
		}
		var want float64
		wantMs := kinglet.NoTime
		value, time, wantErr := AfterSeries(rest)
		if wantErr == nil {
			want, wantErr = ParseValue(value)
		}
		if wantErr == nil && time != nil {
			wantMs, wantErr = ParseTimestamp(time)
		}
		got, gotMs, err := ReadSample(rest)
		if (err == nil) != (wantErr == nil) || err == nil && (!sameFloat(got, want) || gotMs != wantMs) {
			t.Fatalf("%q: %v %v %v, want %v %v %v", rest, got, gotMs, err, want, wantMs, wantErr)
		}
	}
}
