package heartbeat

import (
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestLoadIsTheNodes reads two moments of a node with two CPUs. Between them
// it worked for 100 + 10 + 50 + 10 + 10 + 20 = 200 ticks of the 1000 that
// passed; waiting for a disk is no work, and guests are counted as user time.
func TestLoadIsTheNodes(t *testing.T) {
	n := node{proc: "testdata/before"}
	first, err := n.read()
	if err != nil {
		t.Fatal(err)
	}
	n.proc = "testdata/after"
	second, err := n.read()
	if err != nil {
		t.Fatal(err)
	}
	again, err := n.read() // no tick later
	if err != nil {
		t.Fatal(err)
	}
	want := []load{
		{cpus: 2, cpuUtil: 0, memUtil: 25},
		{cpus: 2, cpuUtil: 20, memUtil: 75},
		{cpus: 2, cpuUtil: 20, memUtil: 75},
	}
	approx := cmpopts.EquateApprox(0, 1e-9)
	if diff := cmp.Diff(want, []load{first, second, again}, cmp.AllowUnexported(load{}), approx); diff != "" {
		t.Error(diff)
	}
}

func TestMemoryOfAnOldKernelIsWhatIsFreeBufferedAndCached(t *testing.T) {
	n := node{proc: "testdata/old_kernel"}
	l, err := n.read()
	if err != nil || l.memUtil != 35 {
		t.Errorf("%+v, %v, want 35 %% of memory used", l, err)
	}
}

func TestAClockOfCPUsThatRunsBackTellsNothing(t *testing.T) {
	n := node{proc: "testdata/after"}
	if _, err := n.read(); err != nil {
		t.Fatal(err)
	}
	n.proc = "testdata/before"
	if l, err := n.read(); err != nil || l.cpuUtil != 0 {
		t.Errorf("%+v, %v", l, err)
	}
	n.proc = "testdata/after"
	if l, err := n.read(); err != nil || l.cpuUtil < 19.9 || l.cpuUtil > 20.1 {
		t.Errorf("%+v, %v, want 20 %%", l, err)
	}
}

func TestWhatCannotBeReadIsLeftOut(t *testing.T) {
	for proc, want := range map[string]string{
		"testdata/broken": "the node's CPU time", "testdata/nowhere": "the node's memory",
	} {
		n := node{proc: proc}
		l, err := n.read()
		if err == nil || !strings.Contains(err.Error(), want) || l.cpus != runtime.NumCPU() || l.cpuUtil != 0 || l.memUtil != 0 {
			t.Errorf("%s: %+v, %v", proc, l, err)
		}
	}
}

func TestThisNodeHasALoad(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has /proc")
	}
	n := node{proc: "/proc"}
	l, err := n.read()
	if err != nil || l.cpus < 1 || l.memUtil <= 0 || l.memUtil > 100 {
		t.Errorf("%+v, %v", l, err)
	}
}
