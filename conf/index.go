package conf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxDepth bounds how deep tables and arrays may lie in each other, and how
// many parts a key may have. It keeps a hostile file from using up the stack.
const maxDepth = 64

// node is where a key, a table or an item of an array stands. The decoder of
// the TOML library knows positions of syntax errors only; a tree of nodes has
// the same form as the decoded values, and gives every one of them its line.
type node struct {
	pos   Pos
	keys  map[string]*node
	items []*node
}

// key is the node of a table's key, or n itself if it is not known, so that
// there is always a line to name.
func (n *node) key(name string) *node {
	if k := n.keys[name]; k != nil {
		return k
	}
	return n
}

// item is the node of an array's item, or n itself.
func (n *node) item(i int) *node {
	if i < len(n.items) {
		return n.items[i]
	}
	return n
}

// find is the node of a path, `a.b[1].c`, or the nearest above it.
func (n *node) find(path string) *node {
	for part := range strings.SplitSeq(path, ".") {
		name, indexes, _ := strings.Cut(part, "[")
		next := n.key(name)
		if next == n {
			next = n.foldKey(name)
		}
		n = next
		for index := range strings.SplitSeq(indexes, "[") {
			if i, err := strconv.Atoi(strings.TrimSuffix(index, "]")); err == nil && i >= 0 {
				n = n.item(i)
			}
		}
	}
	return n
}

// foldKey is key for a name whose case does not matter.
func (n *node) foldKey(name string) *node {
	for key, k := range n.keys {
		if strings.EqualFold(key, name) {
			return k
		}
	}
	return n
}

// child is the node of a key, made if it is not there.
func (n *node) child(name string, at Pos) *node {
	if n.keys == nil {
		n.keys = map[string]*node{}
	}
	k := n.keys[name]
	if k == nil {
		k = &node{pos: at}
		n.keys[name] = k
	}
	return k
}

// enter is the table that a header's or dotted key's part stands for: of an
// array of tables the last one.
func (n *node) enter(name string, at Pos) *node {
	k := n.child(name, at)
	if len(k.items) > 0 {
		return k.items[len(k.items)-1]
	}
	return k
}

// errTooDeep is the one fault that the index finds itself.
var errTooDeep = errors.New("too deep")

// scanner makes the index of a text. It trusts the text to be valid TOML; on
// any other it stops, or gives some index, but never panics.
type scanner struct {
	text string
	file string
	at   int
	line int
}

// buildIndex indexes text, which has no byte order mark. It returns errTooDeep
// with the line that passes maxDepth; a text that is not TOML is no error here.
func buildIndex(file, text string) (*node, int, error) {
	s := &scanner{text: text, file: file, line: 1}
	root := &node{pos: Pos{File: file, Line: 1}}
	err := s.document(root)
	if errors.Is(err, errTooDeep) {
		return root, s.line, err
	}
	return root, 0, nil
}

func (s *scanner) pos() Pos { return Pos{File: s.file, Line: s.line} }

func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) done() bool { return s.at >= len(s.text) }

// errStop ends a scan over text that is no TOML.
var errStop = errors.New("no TOML")

func (s *scanner) document(root *node) error {
	table := root
	for {
		s.skipSpace(true)
		if s.done() {
			return nil
		}
		if s.peek() != '[' {
			if err := s.pair(table, 1); err != nil {
				return err
			}
			continue
		}
		var err error
		if table, err = s.header(root); err != nil {
			return err
		}
	}
}

// header reads [a.b] or [[a.b]] and returns the node of its table.
func (s *scanner) header(root *node) (*node, error) {
	at := s.pos()
	s.at++
	array := s.peek() == '['
	if array {
		s.at++
	}
	parts, err := s.keyParts()
	if err != nil {
		return nil, err
	}
	table := root
	for _, part := range parts[:len(parts)-1] {
		table = table.enter(part, at)
	}
	last := table.child(parts[len(parts)-1], at)
	for range 2 {
		if s.peek() == ']' {
			s.at++
		}
	}
	if !array {
		last.pos = at
		return last, nil
	}
	item := &node{pos: at}
	last.items = append(last.items, item)
	return item, nil
}

// pair reads `key = value` into a table.
func (s *scanner) pair(table *node, depth int) error {
	at := s.pos()
	parts, err := s.keyParts()
	if err != nil {
		return err
	}
	for _, part := range parts[:len(parts)-1] {
		table = table.enter(part, at)
	}
	value := table.child(parts[len(parts)-1], at)
	if s.peek() != '=' {
		return errStop
	}
	s.at++
	s.skipSpace(false)
	return s.value(value, depth)
}

// keyParts reads a key with its dots, and the blanks after it.
func (s *scanner) keyParts() ([]string, error) {
	var parts []string
	for {
		s.skipSpace(false)
		from := s.at
		switch c := s.peek(); c {
		case '"', '\'':
			s.skipString()
			part, err := unquote(s.text[from:s.at])
			if err != nil {
				return nil, err
			}
			parts = append(parts, part)
		default:
			for !s.done() && !strings.ContainsRune(" \t\r\n.=]#\"'[{},", rune(s.text[s.at])) {
				s.at++
			}
			if s.at == from {
				return nil, errStop
			}
			parts = append(parts, s.text[from:s.at])
		}
		if len(parts) > maxDepth {
			return nil, errTooDeep
		}
		s.skipSpace(false)
		if s.peek() != '.' {
			return parts, nil
		}
		s.at++
	}
}

// unquote is the text of a quoted key.
func unquote(quoted string) (string, error) {
	if len(quoted) < 2 {
		return "", errStop
	}
	if quoted[0] == '\'' || !strings.Contains(quoted, `\`) {
		return quoted[1 : len(quoted)-1], nil
	}
	var doc struct {
		K string `toml:"k"`
	}
	if _, err := toml.Decode("k="+quoted, &doc); err != nil {
		return "", fmt.Errorf("unquote key: %w", err)
	}
	return doc.K, nil
}

// value reads one value.
func (s *scanner) value(n *node, depth int) error {
	if depth > maxDepth {
		return errTooDeep
	}
	switch s.peek() {
	case '"', '\'':
		s.skipString()
		return nil
	case '[':
		return s.array(n, depth+1)
	case '{':
		return s.inlineTable(n, depth+1)
	}
	from := s.at
	for !s.done() && !strings.ContainsRune(",]}#\r\n", rune(s.text[s.at])) {
		s.at++
	}
	if s.at == from {
		return errStop
	}
	return nil
}

func (s *scanner) array(n *node, depth int) error {
	s.at++
	for {
		s.skipSpace(true)
		if s.done() {
			return errStop
		}
		if s.peek() == ']' {
			s.at++
			return nil
		}
		item := &node{pos: s.pos()}
		n.items = append(n.items, item)
		if err := s.value(item, depth); err != nil {
			return err
		}
		s.skipSpace(true)
		switch s.peek() {
		case ',':
			s.at++
		case ']':
		default:
			return errStop
		}
	}
}

func (s *scanner) inlineTable(n *node, depth int) error {
	s.at++
	for {
		s.skipSpace(true)
		if s.done() {
			return errStop
		}
		if s.peek() == '}' {
			s.at++
			return nil
		}
		if err := s.pair(n, depth); err != nil {
			return err
		}
		s.skipSpace(true)
		switch s.peek() {
		case ',':
			s.at++
		case '}':
		default:
			return errStop
		}
	}
}

// skipSpace passes blanks, and with newlines also line ends and comments.
func (s *scanner) skipSpace(newlines bool) {
	for !s.done() {
		switch c := s.text[s.at]; {
		case c == ' ' || c == '\t':
		case newlines && c == '\r':
		case newlines && c == '\n':
			s.line++
		case newlines && c == '#':
			for !s.done() && s.text[s.at] != '\n' {
				s.at++
			}
			continue
		default:
			return
		}
		s.at++
	}
}

// skipString passes a string of any of the four kinds.
func (s *scanner) skipString() {
	quote := s.text[s.at : s.at+1]
	long := strings.Repeat(quote, 3)
	if !strings.HasPrefix(s.text[s.at:], long) {
		s.skipUntil(quote)
		return
	}
	s.at += 2
	s.skipUntil(long)
	// A long string may end in one or two quotes of its own.
	for range 2 {
		if strings.HasPrefix(s.text[s.at:], quote) {
			s.at++
		}
	}
}

// skipUntil passes the opening quote's last byte, and all up to and including
// the end.
func (s *scanner) skipUntil(end string) {
	s.at++
	for !s.done() {
		switch c := s.text[s.at]; {
		case strings.HasPrefix(s.text[s.at:], end):
			s.at += len(end)
			return
		case c == '\\' && end[0] == '"':
			s.at++ // the escaped byte is passed below, and counted if it ends a line
			if !s.done() && s.text[s.at] == '\n' {
				s.line++
			}
		case c == '\n':
			if len(end) == 1 {
				return // a short string ends with its line: this is no TOML
			}
			s.line++
		}
		s.at++
	}
	s.at = min(s.at, len(s.text))
}
