//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"
	"time"

	"kinglet/e2e/harness"
	"kinglet/internal/tree"
)

// setup is a configuration in few words.
type setup struct {
	listen, interval, writerOpt string
	writers                     []string // URLs
	instances                   []string // the keys of each [[instances]]
}

// tree writes the configuration and returns its folder.
func (s setup) tree(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "[global]\nhostname = \"$HOSTNAME\"\ninterval = %q\n[log]\nfile_name = \"stderr\"\n[serve]\nlisten = %q\n[writer_opt]\n%s\n",
		s.interval, s.listen, s.writerOpt)
	for _, u := range s.writers {
		fmt.Fprintf(&b, "[[writers]]\nurl = %q\ntimeout = 2000\n", u)
	}
	files := map[string]string{"config.toml": b.String()}
	for i, keys := range s.instances {
		files[fmt.Sprintf("input.prometheus/%d.toml", i)] = "[[instances]]\n" + keys + "\n"
	}
	return tree.Make(t, files)
}

// TestKubeletAndCadvisor sends the kubelet's pages to two receivers at once.
// cAdvisor's samples keep the timestamps of their page.
func TestKubeletAndCadvisor(t *testing.T) {
	start := time.Now()
	kubeletPage := recordedPage(t, "kubelet", "0s")
	cadvisorPage := shiftTimestamps(recordedPage(t, "kubelet-cadvisor", "0s"), start)
	kubelet := servePage(t, "", func(int) string { return kubeletPage })
	cadvisor := servePage(t, "", func(int) string { return cadvisorPage })
	fresh := servePage(t, "", func(int) string { return cadvisorPage })
	receivers := []*receiver{startPrometheus(t), startVictoria(t)}
	listen := harness.FreeAddress(t)
	k := startKinglet(t, listen, setup{
		listen: listen, interval: "1s", writerOpt: "batch = 500", // each page takes several requests
		writers: []string{receivers[0].write, receivers[1].write},
		instances: []string{
			fmt.Sprintf("urls = [%q]\nlabels = {job = \"kubelet\"}", kubelet.URL),
			fmt.Sprintf("urls = [%q]\nlabels = {job = \"cadvisor\"}", cadvisor.URL),
			fmt.Sprintf("urls = [%q]\nlabels = {job = \"fresh\"}\nhonor_timestamps = false", fresh.URL),
		},
	}.tree(t))
	k.waitUp(t, 3, 20*time.Second)
	for _, r := range receivers {
		for job, tt := range map[string]struct {
			url, page string
			honored   bool
		}{
			"kubelet": {kubelet.URL, kubeletPage, true}, "cadvisor": {cadvisor.URL, cadvisorPage, true}, "fresh": {fresh.URL, cadvisorPage, false},
		} {
			up := fmt.Sprintf("up{job=%q}", job)
			harness.Eventually(t, 20*time.Second, r.Name+" has two scrapes of "+job, func() (bool, string) {
				found := r.points(up)
				return len(found) >= 2, fmt.Sprint(found)
			})
			page := parsePage(t, tt.page)
			if !tt.honored {
				page = withoutTimestamps(page)
			}
			checkScrape(t, r, r.series(t, fmt.Sprintf("{job=%q}", job)), 0, page,
				map[string]string{"job": job, "instance": tt.url, "agent_hostname": "node-1"}, r.points(up)[0].Ms)
		}
	}
	k.stop(t)
}

func withoutTimestamps(page map[string]exposed) map[string]exposed {
	plain := maps.Clone(page)
	for k, e := range plain {
		e.Ms = 0
		plain[k] = e
	}
	return plain
}

// TestWhatWaitsIsSentAtTheEnd stops kinglet while a scrape waits for its
// request to fill.
func TestWhatWaitsIsSentAtTheEnd(t *testing.T) {
	page := recordedPage(t, "kube-proxy", "0s")
	target := servePage(t, "", func(int) string { return page })
	r := startPrometheus(t)
	listen := harness.FreeAddress(t)
	k := startKinglet(t, listen, setup{
		listen: listen, interval: "1m", writerOpt: "batch = 10000\nlinger = \"1m\"", writers: []string{r.write},
		instances: []string{fmt.Sprintf("urls = [%q]\nlabels = {job = \"x\"}", target.URL)},
	}.tree(t))
	k.waitUp(t, 1, 90*time.Second)
	if found := r.points(`up{job="x"}`); len(found) > 0 {
		t.Fatalf("%v was sent before the end", found)
	}
	k.stop(t)
	found := r.points(`up{job="x"}`)
	if len(found) != 1 {
		t.Fatalf("%d points of up after the end, want 1", len(found))
	}
	checkScrape(t, r, r.series(t, `{job="x"}`), 0, parsePage(t, page),
		map[string]string{"job": "x", "instance": target.URL, "agent_hostname": "node-1"}, found[0].Ms)
}

// TestOneReceiverDownLosesNothing stops one of two receivers and then freezes
// the other. Each has everything in the end, and never delays the other.
func TestOneReceiverDownLosesNothing(t *testing.T) {
	target := servePage(t, "", func(n int) string {
		var b strings.Builder
		b.WriteString("# TYPE work_total counter\n")
		for i := range 200 {
			fmt.Fprintf(&b, "work_total{worker=\"%d\"} %d\n", i, n*1000+i)
		}
		return b.String()
	})
	prom, victoria := startPrometheus(t), startVictoria(t)
	listen := harness.FreeAddress(t)
	k := startKinglet(t, listen, setup{
		listen: listen, interval: "1s", writers: []string{prom.write, victoria.write},
		instances: []string{fmt.Sprintf("urls = [%q]\nlabels = {job = \"x\"}", target.URL)},
	}.tree(t))
	const probe = `work_total{worker="7"}`
	waitMore := func(r *receiver, more int) {
		t.Helper()
		base := len(r.points(probe))
		harness.Eventually(t, time.Minute, fmt.Sprintf("%s has %d more scrapes", r.Name, more), func() (bool, string) {
			n := len(r.points(probe))
			return n >= base+more, fmt.Sprint(n, " points")
		})
	}
	waitMore(prom, 3)
	waitMore(victoria, 3)

	victoria.Stop(t, 30*time.Second)
	waitMore(prom, 6)
	victoria.start(t)
	waitMore(victoria, 8)

	if err := prom.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitMore(victoria, 6)
	if err := prom.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	waitMore(prom, 8)
	k.stop(t)

	asked := len(target.times())
	for _, r := range []*receiver{prom, victoria} {
		harness.Eventually(t, 20*time.Second, r.Name+" has every scrape", func() (bool, string) {
			n := len(r.points(probe))
			return n >= asked-1, fmt.Sprintf("%d of %d", n, asked)
		})
		checkWork(t, r, asked)
	}
}

// checkWork checks that each of the 200 series has every value once, in order;
// the last scrape may have been cut off by the end.
func checkWork(t *testing.T, r *receiver, asked int) {
	t.Helper()
	found := r.series(t, "work_total")
	if len(found) != 200 {
		t.Errorf("%s: %d series, want 200", r.Name, len(found))
	}
	for _, s := range found {
		var worker int
		if _, err := fmt.Sscan(s.Labels["worker"], &worker); err != nil {
			t.Fatal(err)
		}
		if n := len(s.Points); n < asked-1 || n > asked {
			t.Errorf("%s: worker %d has %d points of %d scrapes", r.Name, worker, n, asked)
			continue
		}
		for n, p := range s.Points {
			if want := float64(n*1000 + worker); p.Value != want {
				t.Fatalf("%s: worker %d has %v at place %d, want %v", r.Name, worker, p.Value, n, want)
			}
		}
	}
}
