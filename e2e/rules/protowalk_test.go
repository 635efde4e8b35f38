//go:build e2e

package rules

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// onlyFields walks a protobuf message and refuses field numbers that the schema
// does not list. The schema maps a path such as request.1.2 to the numbers
// allowed there; a path that it does not hold is not a message.
func onlyFields(b []byte, path string, schema map[string][]int) error {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return fmt.Errorf("%s: cut message", path)
		}
		b = b[n:]
		field, wire := int(key>>3), key&7
		if !slices.Contains(schema[path], field) {
			return fmt.Errorf("%s: field %d is not in the specification", path, field)
		}
		var payload []byte
		var err error
		if payload, b, err = takeValue(b, wire); err != nil {
			return fmt.Errorf("%s.%d: %w", path, field, err)
		}
		inner := fmt.Sprintf("%s.%d", path, field)
		if schema[inner] != nil {
			if err := onlyFields(payload, inner, schema); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeValue splits one value of a wire type off b.
func takeValue(b []byte, wire uint64) (value, rest []byte, err error) {
	var size int
	switch wire {
	case 0:
		_, size = binary.Uvarint(b)
	case 1:
		size = 8
	case 5:
		size = 4
	case 2:
		length, n := binary.Uvarint(b)
		if n <= 0 || length > uint64(len(b)-n) {
			return nil, nil, errors.New("cut field")
		}
		return b[n : n+int(length)], b[n+int(length):], nil
	default:
		return nil, nil, fmt.Errorf("wire type %d", wire)
	}
	if size <= 0 || size > len(b) {
		return nil, nil, errors.New("cut field")
	}
	return b[:size], b[size:], nil
}
