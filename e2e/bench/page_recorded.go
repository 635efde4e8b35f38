package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// filePrefix marks a shape that is a recorded page.
const filePrefix = "file:"

// addRecorded adds the series of a recorded page, plain or .gz, whose values
// then move as their types do, each line by itself. Values of 0 stay. Explicit
// timestamps are left out: they would stand still.
func (p *page) addRecorded(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open recorded page: %w", err)
	}
	defer file.Close()
	var text io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		if text, err = gzip.NewReader(file); err != nil {
			return fmt.Errorf("unpack recorded page %s: %w", path, err)
		}
	}
	types, head := map[string]string{}, ""
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		l := lines.Text()
		if words := strings.Fields(l); len(words) == 0 || words[0] == "#" {
			if len(words) == 4 && words[1] == "TYPE" {
				types[words[2]] = words[3]
			}
			head += l + "\n"
			continue
		}
		if err := p.addLine(l, head, types); err != nil {
			return fmt.Errorf("read recorded page %s: %w", path, err)
		}
		head = ""
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read recorded page %s: %w", path, err)
	}
	return nil
}

// addLine adds the series of one line.
func (p *page) addLine(l, head string, types map[string]string) error {
	end := strings.LastIndexByte(l, '}') + 1
	if end == 0 {
		end = max(0, strings.IndexByte(l, ' '))
	}
	series, rest := l[:end], strings.Fields(l[end:])
	if series == "" || len(rest) == 0 {
		return fmt.Errorf("line %q: want a series and a value", l)
	}
	value, err := strconv.ParseFloat(rest[0], 64)
	if err != nil {
		return fmt.Errorf("line %q: %w", l, err)
	}
	name, _, _ := strings.Cut(series, "{")
	in := instrument{head: head, kind: movesAs(name, types[name], value), scale: math.Abs(value)}
	if in.kind == counter {
		in.scale = 10
	}
	p.add(in, []string{series + " "}).lines[0].set(value)
	return nil
}

// movesAs guesses how a recorded series moves.
func movesAs(name, declared string, value float64) kind {
	switch {
	case value == 0, math.IsNaN(value), math.IsInf(value, 0):
		return still
	case strings.HasSuffix(name, "_sum"):
		return counterFloat
	case declared == "counter", strings.HasSuffix(name, "_total"), strings.HasSuffix(name, "_count"), strings.HasSuffix(name, "_bucket"):
		return counter
	case value == math.Trunc(value) && 0 < value && value < 1e4:
		return gaugeSmall
	default:
		return gauge
	}
}
