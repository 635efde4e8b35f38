package promtext

import (
	"math"
	"strconv"

	"kinglet"
)

const valueWanted = "want a decimal number, NaN or Inf as the value"

// ParseValue reads a value: a decimal number with an optional exponent, or NaN
// or Inf in any case. The result is, bit for bit, that of strconv.ParseFloat,
// except that every NaN becomes kinglet.NaN (RW-38). Hexadecimal numbers,
// underscores and numbers too large for a float64 are refused (RW-119). It
// allocates only for a *SyntaxError.
func ParseValue(b []byte) (float64, error) {
	if v, ok := shortDecimal(b); ok {
		return v, nil
	}
	return parseAnyFloat(b, valueWanted)
}

// exactTens are the powers of ten that a float64 holds exactly.
var exactTens = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// shortDecimal reads what most values are: digits that make an integer below
// 2^53, and a power of ten that is exact. Then one multiplication or division
// rounds once, as it must, and the result is the nearest float64.
func shortDecimal(b []byte) (float64, bool) {
	i, negative := 0, false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		i, negative = 1, b[0] == '-'
	}
	var mantissa uint64
	start := i
	for ; i < len(b) && isDigit(b[i]); i++ {
		mantissa = mantissa*10 + uint64(b[i]-'0')
	}
	digits, exponent := i-start, 0
	if i < len(b) && b[i] == '.' {
		i++
		start = i
		for ; i < len(b) && isDigit(b[i]); i++ {
			mantissa = mantissa*10 + uint64(b[i]-'0')
		}
		exponent = start - i
		digits += i - start
	}
	if digits == 0 || digits > 18 || mantissa > 1<<53 {
		return 0, false
	}
	if i < len(b) {
		power, ok := shortExponent(b[i:])
		if !ok {
			return 0, false
		}
		exponent += power
	}
	v := float64(mantissa)
	switch {
	case exponent == 0:
	case exponent > 0 && exponent < len(exactTens):
		v *= exactTens[exponent]
	case exponent < 0 && -exponent < len(exactTens):
		v /= exactTens[-exponent]
	default:
		return 0, false
	}
	if negative {
		v = -v
	}
	return v, true
}

// shortExponent reads "e+09" and the like, of at most three digits.
func shortExponent(b []byte) (int, bool) {
	if len(b) < 2 || b[0]|0x20 != 'e' {
		return 0, false
	}
	b = b[1:]
	negative := b[0] == '-'
	if negative || b[0] == '+' {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 3 {
		return 0, false
	}
	power := 0
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		power = power*10 + int(c-'0')
	}
	if negative {
		power = -power
	}
	return power, true
}

// parseAnyFloat reads all that ParseValue accepts. Texts of up to 32 bytes,
// more than a float64 ever needs, do not leave the stack.
func parseAnyFloat(b []byte, wanted string) (float64, error) {
	for _, c := range b {
		if c == '_' || c|0x20 == 'p' {
			return 0, syntax(b, wanted)
		}
	}
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return 0, syntax(b, wanted)
	}
	if math.IsNaN(v) {
		return kinglet.NaN(), nil
	}
	return v, nil
}

// ParseTimestamp reads a timestamp of the text format: decimal digits, without
// a sign, in milliseconds since the Unix epoch. It allocates only for a
// *SyntaxError.
func ParseTimestamp(b []byte) (int64, error) {
	var ms int64
	for _, c := range b {
		if !isDigit(c) {
			return 0, syntax(b, timestampWanted)
		}
		digit := int64(c - '0')
		if ms > (math.MaxInt64-digit)/10 {
			return 0, syntax(b, timestampWanted)
		}
		ms = ms*10 + digit
	}
	if len(b) == 0 {
		return 0, syntax(b, timestampWanted)
	}
	return ms, nil
}

const timestampWanted = "want a timestamp in milliseconds, digits only"

// parseSeconds reads a timestamp of OpenMetrics, in seconds, as milliseconds;
// what is less than a millisecond is cut off.
func parseSeconds(b []byte) (int64, error) {
	s, err := parseAnyFloat(b, secondsWanted)
	if err != nil {
		return 0, err
	}
	if ms := s * 1000; ms > math.MinInt64 && ms < math.MaxInt64 { // neither NaN nor Inf
		return int64(ms), nil
	}
	return 0, syntax(b, secondsWanted)
}

const secondsWanted = "want a timestamp in seconds"

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
