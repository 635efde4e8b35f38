package conf

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Severity says how much a finding matters.
type Severity int

const (
	// Note says what kinglet leaves alone, and that nothing is lost by it.
	Note Severity = iota
	// Warning says that something the user wrote has no effect or another one
	// than may be expected. kinglet runs.
	Warning
	// Error says that a file, or the whole tree, cannot be used as it is.
	Error
)

// String is "note", "warning" or "error".
func (s Severity) String() string {
	switch s {
	case Note:
		return "note"
	case Warning:
		return "warning"
	}
	return "error"
}

// Pos is a place in the tree.
type Pos struct {
	File string // relative to the tree, with slashes; "" if the finding is about no file
	Line int    // from 1; 0 if the finding is about the file or folder as such
}

// String is "file:line", "file", or "".
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Finding is one thing the loader has to say about the tree. It never holds a
// secret.
type Finding struct {
	Severity Severity
	Pos      Pos
	Key      string // path of the key, `instances[0].urls[1]`; "" if it is about no key
	Message  string // what is wrong, and what is wanted
}

// String is `file:line: key: what is wrong, what is wanted`, with the severity
// in front of the key unless it is Error.
func (f Finding) String() string {
	var parts []string
	if place := f.Pos.String(); place != "" {
		parts = append(parts, place)
	}
	if f.Severity != Error {
		parts = append(parts, f.Severity.String())
	}
	if f.Key != "" {
		parts = append(parts, f.Key)
	}
	return strings.Join(append(parts, f.Message), ": ")
}

// Findings are sorted by file, line and key when they come from Load or Check:
// the main files first, then the inputs.
type Findings []Finding

// Errors is the number of findings that are errors.
func (fs Findings) Errors() int {
	n := 0
	for _, f := range fs {
		if f.Severity == Error {
			n++
		}
	}
	return n
}

// Write prints the findings, one a line.
func (fs Findings) Write(w io.Writer) error {
	for _, f := range fs {
		if _, err := fmt.Fprintln(w, f); err != nil {
			return err
		}
	}
	return nil
}

// sort orders by place, main files before input folders, and drops repeats.
func (fs Findings) sort() Findings {
	depth := func(f Finding) int { return strings.Count(f.Pos.File, "/") }
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(depth(a), depth(b)),
			cmp.Compare(a.Pos.File, b.Pos.File),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Key, b.Key),
		)
	})
	return slices.Compact(fs)
}

// maxFindings bounds what is said of one tree.
const maxFindings = 1000

// report collects findings while a tree is read.
type report struct {
	all    Findings
	more   int  // findings beyond maxFindings
	faults int  // errors, less those that are errors only because of strict
	strict bool // what is a warning when running is an error, as in Check
}

func (r *report) add(s Severity, at Pos, key, format string, args ...any) {
	if r.full() {
		r.more++
		return
	}
	r.all = append(r.all, Finding{Severity: s, Pos: at, Key: key, Message: fmt.Sprintf(format, args...)})
}

// full reports that more findings are counted only, so that no thought need be
// given to them.
func (r *report) full() bool { return len(r.all) >= maxFindings }

// sorted ends the report.
func (r *report) sorted() Findings {
	all := r.all.sort()
	if r.more > 0 {
		all = append(all, Finding{Severity: Error, Message: fmt.Sprintf("there are %d findings more, want these mended first", r.more)})
	}
	return all
}

func (r *report) errorf(at Pos, key, format string, args ...any) {
	r.faults++
	r.add(Error, at, key, format, args...)
}

func (r *report) warnf(at Pos, key, format string, args ...any) {
	r.add(Warning, at, key, format, args...)
}

func (r *report) notef(at Pos, key, format string, args ...any) {
	r.add(Note, at, key, format, args...)
}

// mistake is a warning when running, so that old trees work, and an error in a
// check.
func (r *report) mistake(at Pos, key, format string, args ...any) {
	s := Warning
	if r.strict {
		s = Error
	}
	r.add(s, at, key, format, args...)
}
