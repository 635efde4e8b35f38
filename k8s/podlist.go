package k8s

import (
	"errors"
	"fmt"
	"io"
)

// Bounds of a list of pods. A kubelet runs 110 pods by default, and an object
// of the API is at most 1.5 MiB large in etcd, which is compact.
const (
	maxPods      = 8192
	maxPodBytes  = 8 << 20
	maxListBytes = 256 << 20
)

// errNoItems says that an answer is no list of pods.
var errNoItems = errors.New("the answer holds no list of pods: want a JSON object with items")

// splitList reads a JSON object and calls each for every element of its array
// "items", with the element's bytes, which are valid until it returns. No more
// than one element is in memory. Whether an element is JSON is for each to
// find out.
func splitList(r io.Reader, each func(item []byte) error) error {
	return splitBounded(r, maxListBytes, each)
}

func splitBounded(r io.Reader, limit int64, each func(item []byte) error) error {
	s := splitter{each: each}
	window := make([]byte, 32<<10)
	limited := &io.LimitedReader{R: r, N: limit}
	for {
		n, err := limited.Read(window)
		if fault := s.feed(window[:n]); fault != nil {
			return fault
		}
		switch {
		case s.done:
			return nil
		case limited.N <= 0:
			return fmt.Errorf("the list is longer than %d bytes", limit)
		case err == io.EOF && !s.begun:
			return errNoItems
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
}

// splitter follows the nesting of a JSON text.
type splitter struct {
	each  func([]byte) error
	item  []byte // the element so far
	count int
	depth int
	key   []byte // the last string at depth 1

	inString, escaped bool
	begun, done       bool // an object has begun, and ended
	inItems, items    bool // within the array; it was there
}

// feed takes the next part of the text.
func (s *splitter) feed(part []byte) error {
	from := -1 // where the element continues in part
	if s.inItems && s.depth > 2 {
		from = 0
	}
	for i, c := range part {
		if s.inString {
			s.character(c)
			continue
		}
		switch c {
		case '"':
			s.inString = true
			if s.depth == 1 {
				s.key = s.key[:0]
			}
		case '{', '[':
			if s.inItems && s.depth == 2 {
				from = i
			}
			s.open(c)
		case '}', ']':
			s.depth--
			switch {
			case s.inItems && s.depth == 2:
				if err := s.take(part[from : i+1]); err != nil {
					return err
				}
				from = -1
			case s.inItems && s.depth == 1:
				s.inItems = false
			case s.depth <= 0:
				s.done = true
				if s.items {
					return nil
				}
				return errNoItems
			}
		case ' ', '\t', '\r', '\n', ',', ':':
		default:
			if s.depth == 0 {
				return errNoItems // no object
			}
			if c == 'n' && s.depth == 1 && string(s.key) == "items" {
				s.items = true // null, which is how Go writes no items
			}
		}
	}
	if from >= 0 {
		return s.append(part[from:])
	}
	return nil
}

// character takes a byte of a string.
func (s *splitter) character(c byte) {
	switch {
	case s.escaped:
		s.escaped = false
	case c == '\\':
		s.escaped = true
	case c == '"':
		s.inString = false
		return
	}
	if s.depth == 1 && len(s.key) < 16 {
		s.key = append(s.key, c)
	}
}

// open enters an object or an array.
func (s *splitter) open(c byte) {
	s.begun = true
	if s.depth == 1 && c == '[' && string(s.key) == "items" {
		s.inItems, s.items = true, true
	}
	s.depth++
}

// take is the end of an element.
func (s *splitter) take(rest []byte) error {
	if s.count++; s.count > maxPods {
		return fmt.Errorf("the list holds more than %d pods", maxPods)
	}
	if len(s.item) == 0 {
		return s.each(rest)
	}
	if err := s.append(rest); err != nil {
		return err
	}
	err := s.each(s.item)
	s.item = s.item[:0]
	return err
}

func (s *splitter) append(part []byte) error {
	if len(s.item)+len(part) > maxPodBytes {
		return fmt.Errorf("a pod is longer than %d bytes", maxPodBytes)
	}
	s.item = append(s.item, part...)
	return nil
}
