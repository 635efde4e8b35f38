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
	if v, width := leadingDecimal(b); width > 0 && width == len(b) {
		return v, nil
	}
	return parseAnyFloat(b, valueWanted)
}

// exactTens are the powers of ten that a float64 holds exactly.
var exactTens = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// leadingDecimal reads the number that b begins with, if it is what most values
// are: digits that make an integer below 2^53, and a power of ten that is
// exact. Then one multiplication or division rounds once, as it must, and the
// result is the nearest float64. It returns the number's width, or 0.
func leadingDecimal(b []byte) (v float64, width int) {
	i, negative := 0, false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		i, negative = 1, b[0] == '-'
	}
	mantissa, end := appendDigits(0, b, i)
	digits, exponent := end-i, 0
	i = end
	if i < len(b) && b[i] == '.' {
		mantissa, end = appendDigits(mantissa, b, i+1)
		exponent = i + 1 - end
		digits -= exponent
		i = end
	}
	if digits == 0 || digits > 18 || mantissa > 1<<53 {
		return 0, 0
	}
	v = float64(mantissa)
	if i < len(b) && b[i]|0x20 == 'e' {
		power, width := leadingExponent(b[i:])
		if width == 0 {
			return 0, 0
		}
		exponent += power
		i += width
	}
	switch {
	case exponent == 0:
	case exponent > 0 && exponent < len(exactTens):
		v *= exactTens[exponent]
	case exponent < 0 && -exponent < len(exactTens):
		v /= exactTens[-exponent]
	default:
		return 0, 0
	}
	if negative {
		v = -v
	}
	return v, i
}

// appendDigits reads the digits of b from i on behind those of n, and returns
// where they end. More than 18 in all overflow.
func appendDigits(n uint64, b []byte, i int) (uint64, int) {
	for ; i < len(b); i++ {
		digit := b[i] - '0'
		if digit > 9 {
			break
		}
		n = n*10 + uint64(digit)
	}
	return n, i
}

// leadingExponent reads "e+09" and the like, of at most three digits.
func leadingExponent(b []byte) (power, width int) {
	i := 1
	negative := i < len(b) && b[i] == '-'
	if negative || i < len(b) && b[i] == '+' {
		i++
	}
	n, end := appendDigits(0, b, i)
	if end == i || end-i > 3 {
		return 0, 0
	}
	if negative {
		return -int(n), end
	}
	return int(n), end
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
	const safe = 18 // as many digits never overflow
	if ms, end := appendDigits(0, b, 0); end == len(b) && end > 0 && end <= safe {
		return int64(ms), nil
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, syntax(b, timestampWanted)
		}
	}
	ms, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
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
