package scrape

import (
	"strconv"
	"strings"
	"testing"
)

func TestRoomsAreLentAgainUntilPagesAreQuiet(t *testing.T) {
	var shared rooms
	lent := shared.get()
	shared.put(lent)
	for range mostRooms {
		shared.put(new(room)) // one more than are kept
	}
	if len(shared.free) != mostRooms || shared.free[0] != lent {
		t.Errorf("%d rooms wait, want %d", len(shared.free), mostRooms)
	}
	for range mostRooms {
		shared.get()
	}
	shared.put(&room{next: make([]line, 0, roomLines+1)})
	if len(shared.free) > 0 {
		t.Error("a very large room is kept")
	}
	shared.put(lent)
	if shared.get() != lent {
		t.Error("a room that waits is not lent")
	}
	shared.put(lent)
	for range quietPages - 1 {
		shared.put(nil)
	}
	if len(shared.free) == 0 {
		t.Error("rooms are let go after too few quiet pages")
	}
	shared.put(nil)
	if len(shared.free) > 0 {
		t.Error("rooms are kept though no page needs them")
	}
}

// A page of which little changes allocates for its rows and for what is new, and
// not for each of its lines.
func TestChurnAllocatesForWhatIsNewAlone(t *testing.T) {
	const series = 5_000
	var shared rooms
	l := newLayout(testPage(1000), nil)
	l.rooms = &shared
	lines, turn := make([]string, series), 0
	for i := range lines {
		lines[i] = "m{a=\"" + strconv.Itoa(i) + "\"} 1\n"
	}
	scrape := func() {
		lines[turn*7%series] = "m{b=\"" + strconv.Itoa(turn) + "\"} 1\n"
		turn++
		_, w, err := read(l, strings.Join(lines, ""), int64(turn), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		w.done()
	}
	for range 10 {
		scrape()
	}
	if n := testing.AllocsPerRun(20, scrape); n > 120 {
		t.Errorf("%v allocations for a page with one new series among %d", n, series)
	}
}
