//go:build e2e

package rules

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// World is a running case: the agent's process and all it talks to.
type World struct {
	t         *testing.T
	c         Case
	dir       string
	targets   []*target // of Scrapes, then Targets, then Jobs
	receivers []*receiver
	setup     Setup
	proc      *process
	before    []*process // those that were stopped and started again
}

// newWorld starts servers and agent; the test's end stops them.
func newWorld(t *testing.T, c Case) (*World, error) {
	w := &World{t: t, c: c, dir: t.TempDir()}
	for _, script := range append([][]Page{c.Scrapes}, c.Targets...) {
		w.addTarget(script)
	}
	main := c.Job
	if main.Name == "" {
		main.Name = "j"
	}
	for _, tg := range w.targets {
		main.targets = append(main.targets, tg.server.URL)
	}
	jobs := []Job{main}
	for _, j := range c.Jobs {
		if j.Scrapes != nil {
			j.targets = append(j.targets, w.addTarget(j.Scrapes).server.URL)
		}
		jobs = append(jobs, j)
	}
	var writers []Writer
	for _, wr := range append([]Writer{c.Writer}, c.Writers...) {
		rc, err := newReceiver(wr)
		if err != nil {
			return nil, err
		}
		t.Cleanup(rc.close)
		w.receivers = append(w.receivers, rc)
		if wr.URL == "" {
			wr.URL = rc.url()
		}
		writers = append(writers, wr)
	}
	w.setup = Setup{Dir: w.dir, Jobs: jobs, Writers: writers, Features: c.Features}.withDefaults()
	t.Cleanup(func() { w.proc.kill() })
	return w, w.start()
}

func (w *World) addTarget(script []Page) *target {
	tg := newTarget(script)
	w.t.Cleanup(func() {
		tg.server.CloseClientConnections()
		tg.server.Close()
	})
	w.targets = append(w.targets, tg)
	return tg
}

// start writes the configuration and runs the agent.
func (w *World) start() error {
	args, err := suite.agent.Configure(w.setup)
	if err != nil {
		return err
	}
	if w.proc != nil {
		w.before = append(w.before, w.proc)
	}
	w.proc, err = startProcess(w.dir, args)
	return err
}

// Reload applies an edited setup to the running agent.
func (w *World) Reload(edit func(s *Setup)) error {
	edit(&w.setup)
	if _, err := suite.agent.Configure(w.setup); err != nil {
		return err
	}
	return w.proc.cmd.Process.Signal(syscall.SIGHUP)
}

// Stop sends the signal of a polite end and waits for the process to exit.
func (w *World) Stop(within time.Duration) error {
	if err := w.proc.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	select {
	case <-w.proc.done:
	case <-time.After(within):
		return fmt.Errorf("still running %v after SIGINT", within)
	}
	if w.proc.err != nil {
		return fmt.Errorf("after SIGINT: %w, want exit 0", w.proc.err)
	}
	return nil
}

// wait polls until cond holds. An agent that has ended on its own ends the wait.
func (w *World) wait(limit time.Duration, cond Want) error {
	if limit == 0 {
		limit = 25 * time.Second
	}
	deadline := time.Now().Add(limit)
	for {
		ended := w.proc.ended()
		err := cond(w)
		if err == nil {
			return nil
		}
		if ended && limit > 2*time.Second {
			return errors.Join(fmt.Errorf("the agent has ended: %w", w.proc.exit()), err)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %v: %w", limit, err)
		}
		select {
		case <-w.t.Context().Done():
			return err
		case <-time.After(20 * time.Millisecond): // a poll; nothing is decided by its length
		}
	}
}

// requests are those of the nth receiver.
func (w *World) requests(n int) []Request { return w.receivers[n].seen() }

// samples are those of acknowledged requests of the nth receiver, in order.
func (w *World) samples(n int) []Sample {
	var all []Sample
	for i, r := range w.requests(n) {
		if !r.Acked() {
			continue
		}
		for _, s := range r.Samples {
			s.Request = i
			all = append(all, s)
		}
	}
	return all
}

// host is the address of the nth target.
func (w *World) host(n int) string { return w.targets[n].host() }

// find returns the samples of the series that the selector picks, by series,
// at receiver 0.
func (w *World) find(selector string) (map[string][]Sample, error) { return w.findAt(0, selector) }

func (w *World) findAt(receiver int, selector string) (map[string][]Sample, error) {
	match, err := parseSelector(w.expand(selector))
	if err != nil {
		return nil, err
	}
	found := map[string][]Sample{}
	for _, s := range w.samples(receiver) {
		if s.T != math.MinInt64 && match.matches(s) {
			found[s.Key()] = append(found[s.Key()], s)
		}
	}
	return found, nil
}

// one returns the samples of the only series that the selector picks.
func (w *World) one(selector string) ([]Sample, error) {
	found, err := w.find(selector)
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%s: %d series, want one%s", selector, len(found), listKeys(found))
	}
	for _, samples := range found {
		return samples, nil
	}
	return nil, nil
}

func listKeys(found map[string][]Sample) string {
	var keys []string
	for k := range found {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	if len(keys) > 5 {
		keys = append(keys[:5], "...")
	}
	return strings.TrimSuffix(": "+strings.Join(keys, " "), ": ")
}

// expand puts the targets' addresses in the place of $host, $host1, ...
func (w *World) expand(text string) string {
	for i := len(w.targets) - 1; i > 0; i-- {
		text = strings.ReplaceAll(text, fmt.Sprintf("$host%d", i), w.host(i))
	}
	return strings.ReplaceAll(text, "$host", w.host(0))
}

// evidence is what helps to understand a failure.
func (w *World) evidence() string {
	var b strings.Builder
	for i, tg := range w.targets {
		fmt.Fprintf(&b, "target %d: %d scrapes\n", i, len(tg.seen()))
	}
	for i := range w.receivers {
		for _, r := range w.requests(i) {
			fmt.Fprintf(&b, "receiver %d: request %d at %s: %d samples, answered %d, fault %v\n", i, r.N,
				r.At.Format("05.000"), len(r.Samples), r.Status, r.Fault)
			for j, s := range r.Samples {
				if j >= 12 || r.N > 12 {
					break
				}
				fmt.Fprintf(&b, "    %.300s %v (%#x) at %d\n", s.Key(), s.Value, math.Float64bits(s.Value), s.T)
			}
		}
	}
	fmt.Fprintf(&b, "log:\n%s", w.proc.log.tail(3000))
	return b.String()
}

// process is a run of the agent.
type process struct {
	cmd     *exec.Cmd
	started time.Time
	done    chan struct{}
	err     error // valid after done
	log     *logBuffer
}

func startProcess(dir string, args []string) (*process, error) {
	p := &process{cmd: exec.Command(args[0], args[1:]...), done: make(chan struct{}), log: &logBuffer{}, started: time.Now()}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, p.log, p.log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// exit is how the process ended, which may be well.
func (p *process) exit() error {
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

func (p *process) kill() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// exitsBy waits for the process to end by itself.
func (p *process) exitsBy(limit time.Duration) error {
	select {
	case <-p.done:
		return nil
	case <-time.After(limit):
		return errors.New("still running")
	}
}

// logBuffer holds what the agent wrote, up to a bound.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buf.Len() < 8<<20 {
		l.buf.Write(p)
	}
	return len(p), nil
}

func (l *logBuffer) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logBuffer) tail(n int) string {
	all := l.text()
	return all[max(0, len(all)-n):]
}
