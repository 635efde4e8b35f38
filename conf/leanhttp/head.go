package leanhttp

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
)

// Head is the front of an answer. It stands in the buffer that Do was given, and
// is valid until that is used again.
type Head struct {
	Status int
	fields []byte // header lines and the empty line
}

// Field is the value of the first header of that name, given in lower case, or
// nil.
func (h Head) Field(lower string) []byte {
	for rest := h.fields; ; {
		var line []byte
		if line, rest = cutLine(rest); len(line) == 0 {
			return nil
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); is(name, lower) {
			return bytes.Trim(value, " \t")
		}
	}
}

// framing is how the end of a body is known.
type framing uint8

const (
	byLength framing = iota
	byChunks
	byClose
)

// kind is what the head says about the body.
type kind struct {
	framing framing
	left    int64 // bytes to come
	keep    bool  // the connection may be used again
	old     bool  // HTTP/1.0
}

// headEnd is where the body begins, or 0 if the empty line is not in b yet.
// b[:seen] has been looked at before.
func headEnd(b []byte, seen int) int {
	for at := max(seen-2, 0); ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return 0
		}
		at += i + 1
		switch rest := b[at:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return at + 1
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return at + 2
		}
	}
}

// parseHead reads a status line and headers, with the empty line.
func parseHead(b []byte) (Head, kind, error) {
	line, rest := cutLine(b)
	if len(line) < len("HTTP/1.1 200") || string(line[:7]) != "HTTP/1." || line[8] != ' ' || len(line) > 12 && line[12] != ' ' {
		return Head{}, kind{}, &UnusualError{fmt.Sprintf("the status line %.40q", line)}
	}
	minor := line[7]
	status, ok := digits(line[9:12])
	if !ok || status < 100 || minor != '0' && minor != '1' {
		return Head{}, kind{}, &UnusualError{fmt.Sprintf("the status line %.40q", line)}
	}
	head, k := Head{Status: int(status), fields: rest}, kind{framing: byClose, left: -1, keep: minor == '1', old: minor == '0'}
	if status == http.StatusSwitchingProtocols {
		return head, k, &UnusualError{"status 101"} // what follows is no HTTP
	}
	for {
		line, rest = cutLine(rest)
		if len(line) == 0 {
			break
		}
		if err := k.header(line); err != nil {
			return head, k, err
		}
	}
	if status < 200 || status == http.StatusNoContent || status == http.StatusNotModified {
		k.framing, k.left = byLength, 0 // whatever its headers say
	}
	switch k.framing {
	case byChunks:
		k.left = 0 // each has a length of its own
	case byClose:
		k.keep = false
	}
	return head, k, nil
}

// header takes over what one header line says of the body.
func (k *kind) header(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 || name[0] == ' ' || name[0] == '\t' || name[len(name)-1] == ' ' {
		return &UnusualError{fmt.Sprintf("the header line %.40q", line)}
	}
	value = bytes.Trim(value, " \t")
	switch {
	case is(name, "content-length"):
		n, ok := digits(value)
		if !ok || k.left >= 0 && k.left != n {
			return &UnusualError{"an odd Content-Length"}
		}
		k.left = n
		if k.framing != byChunks {
			k.framing = byLength
		}
	case is(name, "transfer-encoding"):
		if k.old || !is(value, "chunked") {
			return &UnusualError{fmt.Sprintf("Transfer-Encoding %.40q", value)}
		}
		k.framing = byChunks
	case is(name, "connection"):
		if !is(value, "keep-alive") {
			k.keep = false
		}
	}
	return nil
}

// cutLine takes the first line off b, without its end.
func cutLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), rest
}

// is compares b with a lower-case text, without regard to case.
func is(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range b {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// digits reads a number of at most 15 digits.
func digits(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 15 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	return n, err == nil
}
