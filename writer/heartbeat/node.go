package heartbeat

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// load is how busy the node is.
type load struct {
	cpus    int
	cpuUtil float64 // percent of all CPUs, since the reading before
	memUtil float64 // percent of memory that is not available to programs
}

// node reads the node's load from /proc. A container sees the node's stat and
// meminfo there, not its own share, which is what is wanted. A node belongs to
// one goroutine.
type node struct {
	proc string // "/proc"

	busy, total uint64 // ticks of all CPUs at the last reading; both 0 before the first
	last        load
}

// read takes a reading. What cannot be read keeps its value, or is 0, and the
// error says why.
func (n *node) read() (load, error) {
	if n.last.cpus == 0 {
		n.last.cpus = runtime.NumCPU()
	}
	cpuErr, memErr := n.readCPU(), n.readMemory()
	return n.last, errors.Join(cpuErr, memErr)
}

// readCPU reads the lines that /proc/stat begins with: `cpu` for all CPUs, in
// ticks of user, nice, system, idle, iowait, irq, softirq, steal, guest and
// guest_nice, then one for each CPU. Old kernels have fewer columns.
func (n *node) readCPU() error {
	text, err := n.file("stat")
	if err != nil {
		return fmt.Errorf("read the node's CPU time: %w", err)
	}
	lines := strings.Split(text, "\n")
	fields := strings.Fields(lines[0])
	if len(fields) < 5 || fields[0] != "cpu" {
		return errors.New("read the node's CPU time: /proc/stat does not begin with a cpu line")
	}
	var busy, total uint64
	for i, field := range fields[1:min(len(fields), 9)] { // guests are part of user and nice already
		ticks, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return fmt.Errorf("read the node's CPU time: %w", err)
		}
		total += ticks
		if idle, iowait := i == 3, i == 4; !idle && !iowait {
			busy += ticks
		}
	}
	first, passed, worked := n.total == 0, int64(total-n.total), int64(busy-n.busy)
	n.busy, n.total = busy, total
	// Two readings within one tick tell nothing, nor does a CPU that was taken
	// offline with its time.
	if !first && passed > 0 {
		n.last.cpuUtil = percent(float64(worked), float64(passed))
	}
	cpus := 0
	for _, line := range lines[1:] {
		if !strings.HasPrefix(line, "cpu") {
			break
		}
		cpus++
	}
	if cpus > 0 {
		n.last.cpus = cpus
	}
	return nil
}

// readMemory reads /proc/meminfo, whose lines are `Name: number kB`.
func (n *node) readMemory() error {
	text, err := n.file("meminfo")
	if err != nil {
		return fmt.Errorf("read the node's memory: %w", err)
	}
	kib := map[string]float64{}
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if v, err := strconv.ParseUint(number, 10, 64); err == nil {
			kib[name] = float64(v)
		}
	}
	total := kib["MemTotal"]
	if total == 0 {
		return errors.New("read the node's memory: /proc/meminfo has no MemTotal")
	}
	free, ok := kib["MemAvailable"]
	if !ok { // before Linux 3.14
		free = kib["MemFree"] + kib["Buffers"] + kib["Cached"]
	}
	n.last.memUtil = percent(total-free, total)
	return nil
}

// maxProcFile bounds what is read of a file: what is wanted stands in its first
// lines, one for each CPU of up to a thousand.
const maxProcFile = 128 << 10

func (n *node) file(name string) (string, error) {
	f, err := os.Open(filepath.Join(n.proc, name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxProcFile))
	return string(text), err
}

// percent is part of whole, within bounds whatever the kernel says.
func percent(part, whole float64) float64 { return 100 * min(max(part/whole, 0), 1) }
