package promtext

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// excerptBytes bounds how much of a page an error may quote.
const excerptBytes = 200

// A SyntaxError says what is wrong with a page, and where.
type SyntaxError struct {
	Line    int    // 1-based; 0 if not known, and in protobuf
	Text    string // the line, or the part of it that is wrong; its first 200 bytes
	Problem string // what was wanted instead
}

func (e *SyntaxError) Error() string {
	switch {
	case e.Line > 0 && e.Text != "":
		return fmt.Sprintf("line %d: %s: %s", e.Line, e.Problem, strconv.Quote(e.Text))
	case e.Line > 0:
		return fmt.Sprintf("line %d: %s", e.Line, e.Problem)
	case e.Text != "":
		return fmt.Sprintf("%s: %s", e.Problem, strconv.Quote(e.Text))
	}
	return e.Problem
}

// At says where a fault was found: if err is a *SyntaxError that names no line
// yet, it gets this number, and this text if there is one. Other errors pass.
func At(err error, line int, text []byte) error {
	//nolint:errorlint // Only a fault that comes straight from this package is completed.
	if fault, ok := err.(*SyntaxError); ok && fault.Line == 0 {
		fault.Line = line
		if text != nil {
			fault.Text = excerpt(text)
		}
	}
	return err
}

// syntax makes a fault that quotes text. It is where errors allocate.
func syntax(text []byte, problem string) error {
	return &SyntaxError{Text: excerpt(text), Problem: problem}
}

// excerpt is the beginning of text, cut between characters.
func excerpt(text []byte) string {
	if len(text) <= excerptBytes {
		return string(text)
	}
	cut := excerptBytes
	for cut > excerptBytes-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return string(text[:cut]) + "..."
}
