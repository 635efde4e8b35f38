package queue

import (
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// DirName is the name of the directory of the queue of that name: letters,
// digits, "-", "_", and "." but for the first character stay as they are.
func DirName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() <= maxDirName {
		return b.String()
	}
	h := fnv.New64a()
	h.Write([]byte(name))
	return fmt.Sprintf("%s-%016x", b.String()[:maxDirName-17], h.Sum64())
}

// maxDirName is what file systems take at least.
const maxDirName = 255

// Leftover is a queue that nobody asked for.
type Leftover struct {
	Name    string // whose it was
	Dir     string
	Samples int // that wait
	Bytes   int // likewise
	Newest  time.Time
	Removed bool  // it was empty, or older than the limit
	Err     error // why it could not be looked at
}

// Leftovers looks for queues in dir beside those of the directories in mine. It
// removes those of which nothing waits, and those that nothing was appended to
// for longer than maxAge, if that is not 0. It does nothing to those that another
// process has.
func Leftovers(dir string, mine map[string]bool, maxAge time.Duration) (all []Leftover) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // the queues in it tell
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if _, err := os.Stat(filepath.Join(path, markName)); err != nil || mine[entry.Name()] {
			continue // no queue
		}
		left := Leftover{Name: entry.Name(), Dir: path}
		if name, err := url.PathUnescape(entry.Name()); err == nil {
			left.Name = name
		}
		if left.look(maxAge); !errors.Is(left.Err, ErrInUse) {
			all = append(all, left)
		}
	}
	return all
}

// look finds out what is in the directory.
func (left *Leftover) look(maxAge time.Duration) {
	var l *Log
	quiet := slog.New(slog.DiscardHandler)
	if l, left.Err = OpenLog(LogConfig{Dir: left.Dir, MaxBytes: 1 << 62, keepEndpoint: true}, nil, quiet); left.Err != nil {
		return
	}
	left.Err = l.Disk().Err
	stats := l.Stats()
	left.Samples, left.Bytes = stats.Samples, stats.Bytes
	for _, s := range l.segments {
		if s.lastAt.After(left.Newest) {
			left.Newest = s.lastAt
		}
	}
	l.Release()
	if left.Err == nil && (left.Samples == 0 || maxAge > 0 && time.Since(left.Newest) > maxAge) {
		left.Err = os.RemoveAll(left.Dir)
		left.Removed = left.Err == nil
	}
}
