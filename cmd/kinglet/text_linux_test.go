package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyUnchangedPagesOfTheProgramAreLetGo(t *testing.T) {
	const smaps = `00400000-00d10000 r-xp 00000000 fe:00 10021276                           /bin/kinglet
Rss:                8064 kB
Anonymous:             0 kB
Swap:                  0 kB
00d10000-016dc000 r--p 00910000 fe:00 10021276                           /bin/kinglet
Anonymous:             0 kB
Swap:                  0 kB
01700000-01800000 r--p 00910000 fe:00 10021276                           /bin/kinglet
Anonymous:             4 kB
Swap:                  0 kB
01800000-01900000 r--p 00a10000 fe:00 10021276                           /bin/kinglet
Anonymous:             0 kB
Swap:                  4 kB
016dc000-0175b000 rw-p 012dc000 fe:00 10021276                           /bin/kinglet
Anonymous:             0 kB
Swap:                  0 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:00 77                         /lib/other
Anonymous:             0 kB
Swap:                  0 kB
7f0000002000-7f0000003000 r--p 00000000 00:00 0
Anonymous:             0 kB
Swap:                  0 kB
`
	got, err := unchangedPages(strings.NewReader(smaps), "/bin/kinglet")
	if err != nil {
		t.Fatal(err)
	}
	want := []pages{{0x400000, 0xd10000}, {0xd10000, 0x16dc000}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(pages{})); d != "" {
		t.Error(d)
	}
}

func TestTheProgramRunsOnWithoutItsPages(t *testing.T) {
	bytes, err := unmapText()
	if err != nil {
		t.Fatal(err)
	}
	if bytes == 0 {
		t.Error("no page of the program was found")
	}
	if _, err := os.Stat("/proc/self/exe"); err != nil || strings.Repeat("ab", 2) != "abab" {
		t.Errorf("the program does not run on: %v", err)
	}
}
