package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
)

// style is how a line looks on a terminal; the value is its SGR parameter.
type style string

const (
	bold style = "1"
	head style = "1;36"
	good style = "32"
	bad  style = "1;31"
)

// line is one line of a report.
type line struct {
	style style // "" is plain
	text  string
}

// screen prints reports: redrawn in place on a terminal, else one after another.
type screen struct {
	out   io.Writer
	live  bool // it is a terminal
	enter sync.Once
	inAlt bool
}

// newScreen finds out whether out is a terminal that may be drawn on.
func newScreen(out io.Writer, getenv func(string) string) *screen {
	s := &screen{out: out}
	if f, ok := out.(*os.File); ok && getenv("TERM") != "" && getenv("TERM") != "dumb" && getenv("NO_COLOR") == "" {
		info, err := f.Stat()
		s.live = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

// Redraw shows lines in place of what was shown before, on a second screen
// that Leave takes away.
func (s *screen) Redraw(lines []line) {
	var b strings.Builder
	s.enter.Do(func() {
		s.inAlt = true
		b.WriteString("\x1b[?1049h\x1b[?25l\x1b[?7l") // second screen, no cursor, no wrapping
	})
	b.WriteString("\x1b[H")
	for _, l := range lines {
		b.WriteString(s.paint(l) + "\x1b[K\r\n")
	}
	b.WriteString("\x1b[J")
	s.write(b.String())
}

// Block prints lines to stay.
func (s *screen) Block(lines []line) {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(s.paint(l) + "\n")
	}
	s.write(b.String())
}

// Line prints one line to stay.
func (s *screen) Line(text string) { s.write(text + "\n") }

// Leave gives the terminal back as it was. It may be called twice.
func (s *screen) Leave() {
	if s.inAlt {
		s.inAlt = false
		s.write("\x1b[?7h\x1b[?25h\x1b[?1049l")
	}
}

func (s *screen) paint(l line) string {
	if !s.live || l.style == "" {
		return l.text
	}
	return "\x1b[" + string(l.style) + "m" + l.text + "\x1b[0m"
}

func (s *screen) write(text string) {
	_, _ = io.WriteString(s.out, text) // without a reader there is nobody to tell
}

// plain prints a number with at most four significant digits behind the point.
func plain(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return count(int64(v))
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// count prints a whole number with commas.
func count(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// seconds prints a time that was measured in seconds.
func seconds(v float64) string {
	switch {
	case math.Abs(v) >= 1 || v == 0:
		return fmt.Sprintf("%.3g s", v)
	case math.Abs(v) >= 1e-3:
		return fmt.Sprintf("%.3g ms", v*1e3)
	}
	return fmt.Sprintf("%.3g µs", v*1e6)
}

// bytesIEC prints a size.
func bytesIEC(v float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	return fmt.Sprintf("%.4g %s", v, units[i])
}
