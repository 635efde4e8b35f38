package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU time in /proc: USER_HZ, 100 a second on every Linux.
const tick = 10 * time.Millisecond

// cpuTime is the CPU time a process has used.
type cpuTime struct {
	total     time.Duration
	user, sys time.Duration // to a tick
}

func (c cpuTime) since(earlier cpuTime) cpuTime {
	return cpuTime{c.total - earlier.total, c.user - earlier.user, c.sys - earlier.sys}
}

func (c cpuTime) plus(other cpuTime) cpuTime {
	return cpuTime{c.total + other.total, c.user + other.user, c.sys + other.sys}
}

// readCPU reads the CPU time of a process. Its threads' schedstat are exact to
// the nanosecond, where stat counts ticks, too coarse for an agent that uses
// two or three in a scrape; a thread that ended is in stat alone.
func readCPU(pid int) (cpuTime, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	text, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return cpuTime{}, fmt.Errorf("read CPU time: %w", err)
	}
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return cpuTime{}, fmt.Errorf("read CPU time of process %d: short stat %q", pid, text)
	}
	c := cpuTime{user: time.Duration(number(fields[11])) * tick, sys: time.Duration(number(fields[12])) * tick}
	threads, err := filepath.Glob(filepath.Join(dir, "task", "*", "schedstat"))
	if err != nil {
		return cpuTime{}, fmt.Errorf("list threads: %w", err)
	}
	for _, name := range threads {
		if text, err := os.ReadFile(name); err == nil { // else it ended meanwhile
			onCPU, _, _ := strings.Cut(string(text), " ")
			c.total += time.Duration(number(onCPU))
		}
	}
	c.total = max(c.total, c.user+c.sys)
	return c, nil
}

// memory is what a process holds, in bytes.
type memory struct{ rss, peak int64 }

// readMemory reads VmRSS and VmHWM of a process.
func readMemory(pid int) (memory, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return memory{}, fmt.Errorf("read memory: %w", err)
	}
	var m memory
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "VmRSS:":
			m.rss = number(fields[1]) << 10
		case "VmHWM:":
			m.peak = number(fields[1]) << 10
		}
	}
	if m.rss == 0 {
		return memory{}, fmt.Errorf("read memory of process %d: no VmRSS, it is ending", pid)
	}
	return m, nil
}

// machineCPU is the CPU time that the whole machine has used since it started,
// what its host took from it included; 0 if it cannot be read.
func machineCPU() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	var busy int64
	for i, field := range strings.Fields(first) {
		if i >= 1 && i <= 8 && i != 4 && i != 5 { // not idle, not iowait
			busy += number(field)
		}
	}
	return time.Duration(busy) * tick
}

// number reads a number of /proc, 0 if it is none.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// valueAfter is what follows "key ... :" on the first line of the file that
// begins with key, "unknown" if there is none.
func valueAfter(file, key string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// folderSize is the bytes of all files below dir.
func folderSize(dir string) int64 {
	var size int64
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil // a file may go while we look
	})
	if err != nil {
		return 0
	}
	return size
}
