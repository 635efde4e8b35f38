//go:build e2e

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kinglet/e2e/harness"
	"kinglet/internal/tree"
)

// setup says what a world is like; zero values mean few small targets, scraped
// often, and a log on disk.
type setup struct {
	targets, series int
	interval        time.Duration
	lasting         bool   // no series comes or goes, so that all samples are those of scrapes
	memory          bool   // no queue_dir
	queueDir        string // "" = a folder of the test's
	writerOpt       string // more keys of [writer_opt]
	writer          string // more keys of [[writers]]
}

// world is a kinglet between targets and a sink.
type world struct {
	setup
	targets *targets
	sink    *sink
	url     string // of the writer; the sink's, if nothing else is said
	urls    string // of the targets, a TOML list; likewise
	agent   *agent
	ends    []end
}

func newWorld(t *testing.T, s setup) *world {
	t.Helper()
	if s.targets == 0 {
		s.targets, s.series = 8, 60
	}
	if s.interval == 0 {
		s.interval = 200 * time.Millisecond
	}
	if s.queueDir == "" {
		s.queueDir = filepath.Join(t.TempDir(), "queue")
	}
	w := &world{setup: s, targets: startTargets(t, s.targets, s.series), sink: startSink(t)}
	for _, tg := range w.targets.all {
		tg.lasting = s.lasting
	}
	w.url, w.urls = w.sink.url(), w.targets.urls()
	w.agent = newAgent(t, t.TempDir(), harness.FreeAddress(t))
	w.configure(t)
	return w
}

// configure writes kinglet's files.
func (w *world) configure(t *testing.T) {
	t.Helper()
	queue := fmt.Sprintf("queue_dir = %q\n", w.queueDir)
	if w.memory {
		queue = ""
	}
	tree.Write(t, w.agent.conf, map[string]string{
		"config.toml": fmt.Sprintf("[global]\nomit_hostname = true\n[serve]\nlisten = %q\n[log]\nlevel = \"debug\"\n"+
			"[writer_opt]\nlinger = \"50ms\"\n%s%s\n[[writers]]\nname = \"main\"\nurl = %q\ntimeout = 2000\nmax_backoff = \"500ms\"\n%s\n",
			w.agent.listen, queue, w.writerOpt, w.url, w.writer),
		"input.prometheus/targets.toml": fmt.Sprintf("interval = %q\n[[instances]]\nurls = %s\nurl_label_key = \"t\"\n"+
			"url_label_value = \"{{.Path}}\"\nscrape_meta = false\ntimeout = \"10s\"\n", w.interval, w.urls),
	})
}

// start starts kinglet, again after an end.
func (w *world) start(t *testing.T) {
	t.Helper()
	if n := len(w.ends); n > 0 && w.ends[n-1].again.IsZero() {
		w.ends[n-1].again = time.Now()
	}
	w.agent.start(t)
}

// kill ends kinglet with SIGKILL.
func (w *world) kill() {
	w.ends = append(w.ends, end{at: time.Now()})
	w.agent.Kill()
}

// terminate ends kinglet with SIGTERM and tells how long it took.
func (w *world) terminate(t *testing.T, within time.Duration) time.Duration {
	t.Helper()
	w.ends = append(w.ends, end{at: time.Now()})
	return w.agent.Stop(t, within)
}

// flowing waits until n more samples have arrived.
func (w *world) flowing(t *testing.T, n int) {
	t.Helper()
	before, _ := w.sink.progress()
	eventually(t, 20*time.Second, fmt.Sprintf("%d more samples arrive", n), func() (bool, string) {
		now, _ := w.sink.progress()
		return now >= before+n, fmt.Sprint(now - before)
	})
}

// served waits until each target has served n more scrapes.
func (w *world) served(t *testing.T, n int) {
	t.Helper()
	before := make([]int, len(w.targets.all))
	for i, tg := range w.targets.all {
		before[i] = len(tg.served())
	}
	eventually(t, 30*time.Second, fmt.Sprintf("%d more scrapes of each target", n), func() (bool, string) {
		for i, tg := range w.targets.all {
			if len(tg.served()) < before[i]+n {
				return false, fmt.Sprintf("target %d: %d", i, len(tg.served())-before[i])
			}
		}
		return true, ""
	})
}

// settle freezes the targets and waits until all they served has arrived, or
// nothing has for a while, and judges.
func (w *world) settle(t *testing.T, within time.Duration) verdict {
	t.Helper()
	w.targets.frozen.Store(true)
	pass(t, 300*time.Millisecond) // for answers being written
	due, begin := w.targets.samples(), time.Now()
	const quiet = 4 * time.Second
	eventually(t, within, fmt.Sprintf("all %d samples arrive, or no more do", due), func() (bool, string) {
		distinct, latest := w.sink.progress()
		return distinct >= due || time.Since(latest) > quiet && time.Since(begin) > quiet, fmt.Sprint(distinct)
	})
	return judge(w.targets, w.sink, w.ends)
}

// killed lets a backlog of n scrapes gather, kills kinglet and starts it again,
// with its endpoint back.
func (w *world) killed(t *testing.T, n int) {
	t.Helper()
	w.backlog(t, n)
	w.kill()
	w.start(t)
	w.sink.up(t)
	w.served(t, 2)
}

// allArrived wants every sample to arrive, and in order.
func (w *world) allArrived(t *testing.T) {
	t.Helper()
	v := w.settle(t, time.Minute)
	v.check(t)
	v.inOrder(t)
}

// backlog lets the endpoint be away while each target is scraped n times.
func (w *world) backlog(t *testing.T, n int) {
	t.Helper()
	w.sink.down()
	w.served(t, n)
}

// folderBytes is what the files below dir hold, in bytes as they read.
func folderBytes(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, entry os.DirEntry, err error) error { // files come and go
		if err != nil {
			return nil //nolint:nilerr // what is gone has no size
		}
		if info, err := entry.Info(); err == nil && !entry.IsDir() {
			n += info.Size()
		}
		return nil
	})
	return n
}
