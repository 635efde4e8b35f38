package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"time"
)

// Starting touches most of the program: every package makes its tables. What
// runs afterwards is a small part of it, but the rest stays mapped, and counts as
// memory of the process and as active memory of its container. Unmapped, the
// pages stay in the kernel's cache for as long as nobody else has a use for them,
// and those that are needed again come back without any reading.

// When the pages of start-up are let go: before the first scrapes, which take more
// memory than any later, once these are done, and again for what a reload or a
// busy hour has touched.
const (
	firstLetGo = 10 * time.Second
	laterLetGo = 10 * time.Minute
)

// letGoOfText unmaps the program's unchanging pages now and then, until ctx ends.
func letGoOfText(ctx context.Context, log *slog.Logger) {
	for wait := firstLetGo; ; wait = laterLetGo {
		bytes, err := unmapText()
		if err != nil {
			log.Debug("the program's pages stay mapped", "error", err)
			return
		}
		log.Debug("the program's pages were unmapped", "bytes", bytes)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// unmapText tells the kernel that the read-only pages of this program's file are
// not needed now. It returns their size in bytes, resident or not.
func unmapText() (bytes uintptr, err error) {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return 0, fmt.Errorf("find the program's file: %w", err)
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return 0, fmt.Errorf("find the program's pages: %w", err)
	}
	defer maps.Close()
	all, err := unchangedPages(maps, program)
	if err != nil {
		return 0, fmt.Errorf("find the program's pages: %w", err)
	}
	for _, pages := range all {
		if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, pages.from, pages.to-pages.from, syscall.MADV_DONTNEED); errno != 0 {
			return bytes, fmt.Errorf("unmap pages of the program: %w", errno)
		}
		bytes += pages.to - pages.from
	}
	return bytes, nil
}

// pages are addresses of memory, [from:to).
type pages struct{ from, to uintptr }

// unchangedPages reads /proc/self/smaps for the memory that is mapped from that
// file, cannot be written to, and is nowhere different from the file: what a
// loader has changed before it took the right to write away must not be lost,
// be it in memory or swapped out.
func unchangedPages(smaps io.Reader, program string) ([]pages, error) {
	var all []pages
	var at pages
	unwritable, changed := false, false
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		line := lines.Text()
		var from, to uintptr
		var mode string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); n == 3 {
			at, changed = pages{from, to}, false
			unwritable = (mode == "r-xp" || mode == "r--p") && strings.HasSuffix(line, " "+program)
			continue
		}
		fields := strings.Fields(line)
		if !unwritable || len(fields) != 3 {
			continue
		}
		switch fields[0] {
		case "Anonymous:":
			changed = fields[1] != "0"
		case "Swap:": // comes behind Anonymous
			if !changed && fields[1] == "0" {
				all = append(all, at)
			}
		}
	}
	return all, lines.Err()
}
