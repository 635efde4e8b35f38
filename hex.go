package kinglet

import (
	"encoding/binary"
	"slices"
)

// Identifiers of containers, pods and images are hexadecimal digits, 64 or 32 in
// a row, and where containers come and go they are most of what label sets hold.
// A compressor that copies cannot make them shorter; two digits to a byte can.

// shortestHex is the shortest run of digits that is packed.
const shortestHex = 16

// appendPlain is appendHexed without a look at the text.
func appendPlain(dst, text []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// appendHexed appends text with its long runs of lower-case hexadecimal digits
// at two to a byte: by turns the length of some text, the text, the number of
// pairs of digits, and a byte for each pair. It ends behind either.
func appendHexed(dst, text []byte) []byte {
	from := 0 // of what is not written
	for at := 0; at+shortestHex <= len(text); {
		start := at + shortestHex
		for start > at && isHex(text[start-1]) {
			start--
		}
		if start > at { // a run that is long enough begins behind what is none
			at = start
			continue
		}
		end := at + shortestHex
		for end < len(text) && isHex(text[end]) {
			end++
		}
		end -= (end - at) % 2
		dst = append(binary.AppendUvarint(dst, uint64(at-from)), text[from:at]...)
		dst = binary.AppendUvarint(dst, uint64((end-at)/2))
		for ; at < end; at += 2 {
			dst = append(dst, digit(text[at])<<4|digit(text[at+1]))
		}
		from = at
	}
	if from == len(text) {
		return dst
	}
	return appendPlain(dst, text[from:])
}

// appendUnhexed appends the text that appendHexed was given.
func appendUnhexed(dst, hexed []byte) []byte {
	for len(hexed) > 0 {
		n, rest := cutUvarint(hexed)
		dst = append(dst, rest[:n]...)
		if hexed = rest[n:]; len(hexed) == 0 {
			break
		}
		n, rest = cutUvarint(hexed)
		dst = slices.Grow(dst, 2*int(n))
		text := dst[len(dst):cap(dst)]
		for i, b := range rest[:n] {
			binary.LittleEndian.PutUint16(text[2*i:], pairs[b])
		}
		dst, hexed = dst[:len(dst)+2*int(n)], rest[n:]
	}
	return dst
}

// pairs are the two digits of each byte, the first in the low bits.
var pairs = func() (all [256]uint16) {
	const digits = "0123456789abcdef"
	for b := range all {
		all[b] = uint16(digits[b>>4]) | uint16(digits[b&15])<<8
	}
	return all
}()

func isHex(c byte) bool { return c-'0' < 10 || c-'a' < 6 }

// digit is the value of a hexadecimal digit.
func digit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
