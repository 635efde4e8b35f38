package leanhttp

import (
	"bytes"
	"fmt"
	"strconv"
)

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
	left    int64
	keep    bool // the connection may be used again
	old     bool // HTTP/1.0
}

// headEnd is where the body begins, or 0 if the empty line is not in b yet.
// b[:seen] has been looked at before.
func headEnd(b []byte, seen int) int {
	from := max(seen-3, 0)
	if i := bytes.Index(b[from:], []byte("\r\n\r\n")); i >= 0 {
		return from + i + 4
	}
	return 0
}

// parseHead reads a status line and headers, with the empty line.
func parseHead(b []byte) (Head, kind, error) {
	head, k := Head{Length: -1}, kind{framing: byClose}
	if bytes.Count(b, []byte("\n")) != bytes.Count(b, []byte("\r\n")) {
		return head, k, &UnusualError{"bare newlines in its headers"}
	}
	line, rest := cutLine(b)
	var minor byte
	if len(line) < len("HTTP/1.1 200") || string(line[:7]) != "HTTP/1." || line[8] != ' ' || len(line) > 12 && line[12] != ' ' {
		return head, k, &UnusualError{fmt.Sprintf("the status line %.40q", line)}
	}
	minor = line[7]
	status, ok := digits(line[9:12])
	if !ok || minor != '0' && minor != '1' {
		return head, k, &UnusualError{fmt.Sprintf("the status line %.40q", line)}
	}
	head.Status, k.keep, k.old = int(status), minor == '1', minor == '0'
	if status != 200 && len(line) > 13 {
		head.Reason = string(line[13:min(len(line), 100)])
	}
	if status < 200 || status >= 300 && status < 400 {
		return head, k, &UnusualError{fmt.Sprintf("status %d", status)}
	}
	for {
		line, rest = cutLine(rest)
		if len(line) == 0 {
			break
		}
		if err := header(line, &head, &k); err != nil {
			return head, k, err
		}
	}
	if k.framing == byLength {
		k.left = head.Length
	}
	if k.framing == byClose {
		k.keep = false
	}
	return head, k, nil
}

// header takes over what one header line says.
func header(line []byte, head *Head, k *kind) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 || name[0] == ' ' || name[0] == '\t' || name[len(name)-1] == ' ' {
		return &UnusualError{fmt.Sprintf("the header line %.40q", line)}
	}
	value = bytes.Trim(value, " \t")
	switch {
	case is(name, "content-type"):
		if head.ContentType == "" {
			head.ContentType = string(value)
		}
	case is(name, "content-length"):
		n, ok := digits(value)
		if !ok || head.Length >= 0 && head.Length != n {
			return &UnusualError{"an odd Content-Length"}
		}
		head.Length = n
		if k.framing != byChunks {
			k.framing = byLength
		}
	case is(name, "transfer-encoding"):
		if k.old || !is(value, "chunked") {
			return &UnusualError{fmt.Sprintf("Transfer-Encoding %.40q", value)}
		}
		k.framing = byChunks
	case is(name, "content-encoding"):
		if head.Gzip = is(value, "gzip"); !head.Gzip && len(value) > 0 && !is(value, "identity") {
			return &UnusualError{fmt.Sprintf("Content-Encoding %.40q", value)}
		}
	case is(name, "connection"):
		if !is(value, "keep-alive") {
			k.keep = false
		}
	}
	return nil
}

// cutLine takes the first line off b, without its CRLF.
func cutLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte("\r\n"))
	return line, rest
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
