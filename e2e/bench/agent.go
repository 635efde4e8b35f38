package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopWithin is how long an agent may take to end after SIGTERM.
const stopWithin = 5 * time.Second

// agent is one program to measure.
type agent struct {
	Name   string // in tables
	Kind   string // how it is configured
	Binary string
	Args   []string // after those that its kind needs
}

// parseAgents reads NAME=KIND:BINARY words; words that begin with "-" are
// arguments of the agent before them.
func parseAgents(words []string) ([]agent, error) {
	var all []agent
	for _, word := range words {
		if strings.HasPrefix(word, "-") && len(all) > 0 {
			all[len(all)-1].Args = append(all[len(all)-1].Args, word)
			continue
		}
		name, rest, _ := strings.Cut(word, "=")
		kind, binary, _ := strings.Cut(rest, ":")
		if name == "" || binary == "" {
			return nil, fmt.Errorf("agent %q: want NAME=KIND:BINARY", word)
		}
		switch kind {
		case "kinglet", "kinglet-2.0", "kinglet-log", "categraf", "vmagent", "prometheus", "prometheus-2.0", "prometheus2":
		default:
			return nil, fmt.Errorf("agent %q: kind %q: want kinglet, kinglet-2.0, kinglet-log, categraf, vmagent, prometheus, prometheus-2.0 or prometheus2", word, kind)
		}
		path, err := filepath.Abs(binary)
		if err != nil {
			return nil, fmt.Errorf("agent %q: %w", word, err)
		}
		all = append(all, agent{Name: name, Kind: kind, Binary: path})
	}
	if len(all) == 0 {
		return nil, errors.New("no agent: want NAME=KIND:BINARY, as in kinglet=kinglet:bin/kinglet")
	}
	return all, nil
}

// load is what an agent must be told: whom to scrape, how often, whom to tell.
type load struct {
	targets  *targets
	interval time.Duration
	endpoint string // URL
	data     string // a folder of its own
	listen   string // a free address for its pages
}

// scrapeYAML is the configuration of those that read Prometheus'. Every agent
// gives each series the same two labels, job and instance.
func (l load) scrapeYAML() string {
	var b strings.Builder
	fmt.Fprintf(&b, "global:\n  scrape_interval: %[1]s\n  scrape_timeout: %[1]s\nscrape_configs:\n- job_name: bench\n  static_configs:\n", l.interval)
	for i := range l.targets.all {
		address, path := l.targets.url(i)
		fmt.Fprintf(&b, "  - targets: [%q]\n    labels: {__metrics_path__: %q, instance: %q}\n", address, path, address+path)
	}
	return b.String()
}

// tree is the configuration of kinglet and Categraf, which read the same files:
// config.toml begins with main.
func (l load) tree(main, writer string) map[string]string {
	var b strings.Builder
	b.WriteString("[[instances]]\nurls = [\n")
	for i := range l.targets.all {
		address, path := l.targets.url(i)
		fmt.Fprintf(&b, "  %q,\n", "http://"+address+path)
	}
	fmt.Fprintf(&b, "]\nurl_label_key = \"instance\"\nurl_label_value = \"{{.Host}}{{.Path}}\"\ntimeout = \"%s\"\nlabels = { job = \"bench\" }\n", l.interval)
	return map[string]string{
		"config.toml": fmt.Sprintf("[global]\nhostname = \"bench\"\nomit_hostname = true\ninterval = \"%s\"\n%s[[writers]]\nurl = %q\n%s",
			l.interval, main, l.endpoint, writer),
		"input.prometheus/prometheus.toml": b.String(),
	}
}

// setUp is the files an agent of this kind reads and its arguments, conf being
// the folder of the files. What is not needed for the load is left as the agent
// has it.
func (a agent) setUp(conf string, l load) (files map[string]string, args []string) {
	switch a.Kind {
	case "kinglet":
		files, args = l.tree("[serve]\nlisten = \"\"\n", ""), []string{"--configs", conf}
	case "kinglet-2.0":
		files, args = l.tree("[serve]\nlisten = \"\"\n", "protobuf_message = \"2.0\"\n"), []string{"--configs", conf}
	case "kinglet-log":
		queue := fmt.Sprintf("[writer_opt]\nqueue_dir = %q\n", filepath.Join(l.data, "queue"))
		files, args = l.tree("[serve]\nlisten = \"\"\n"+queue, ""), []string{"--configs", conf}
	case "categraf":
		const main = "providers = [\"local\"]\n[log]\nfile_name = \"stdout\"\n[writer_opt]\nbatch = 1000\nchan_size = 1000000\n" +
			"[http]\nenable = false\n[ibex]\nenable = false\n[heartbeat]\nenable = false\n[prometheus]\nenable = false\n"
		files = l.tree(main, "timeout = 5000\ndial_timeout = 2500\nmax_idle_conns_per_host = 100\n")
		args = []string{"--configs", conf}
	case "vmagent":
		files = map[string]string{"scrape.yml": l.scrapeYAML()}
		args = []string{
			"-promscrape.config=" + filepath.Join(conf, "scrape.yml"), "-remoteWrite.url=" + l.endpoint,
			"-remoteWrite.tmpDataPath=" + l.data, "-httpListenAddr=" + l.listen,
		}
	default: // Prometheus
		yaml := l.scrapeYAML() + "remote_write:\n- url: " + l.endpoint + "\n"
		if a.Kind == "prometheus-2.0" {
			yaml += "  protobuf_message: io.prometheus.write.v2.Request\n"
		}
		files = map[string]string{"prometheus.yml": yaml}
		mode := "--agent"
		if a.Kind == "prometheus2" { // before version 3
			mode = "--enable-feature=agent"
		}
		args = []string{
			mode, "--config.file=" + filepath.Join(conf, "prometheus.yml"),
			"--storage.agent.path=" + l.data, "--web.listen-address=" + l.listen,
		}
	}
	return files, append(args, a.Args...)
}

// process is a running agent.
type process struct {
	cmd     *exec.Cmd
	log     string
	started time.Time
	ended   chan struct{} // closed when it has
}

// start writes the agent's files below dir and starts it. A second start on the
// same dir finds what the first left there. The caller stops it; if ctx ends it
// is killed.
func (a agent) start(ctx context.Context, dir string, l load) (*process, error) {
	conf := filepath.Join(dir, "conf")
	l.data = filepath.Join(dir, "data")
	var err error
	if l.listen, err = freeAddress(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(l.data, 0o755); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	files, args := a.setUp(conf, l)
	for name, text := range files {
		name = filepath.Join(conf, name)
		err := os.MkdirAll(filepath.Dir(name), 0o755)
		if err == nil {
			err = os.WriteFile(name, []byte(text), 0o644)
		}
		if err != nil {
			return nil, fmt.Errorf("write configuration: %w", err)
		}
	}
	p := &process{log: filepath.Join(dir, "log"), ended: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer log.Close() // the agent has its own handle
	p.cmd = exec.CommandContext(ctx, a.Binary, args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = l.data, log, log
	p.cmd.Env = append(os.Environ(), "NO_PROXY=*", "no_proxy=*")
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", a.Name, err)
	}
	go func() {
		p.cmd.Wait() //nolint:errcheck // how it ended is in its log; that it ended is what counts
		close(p.ended)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// stop asks the agent to end, and kills it if it does not.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended already
	select {
	case <-p.ended:
	case <-time.After(stopWithin):
		p.kill()
	}
}

// kill ends the agent at once.
func (p *process) kill() {
	p.cmd.Process.Kill() //nolint:errcheck // it may have ended already
	<-p.ended
}

// explain adds the end of the agent's log to an error.
func (p *process) explain(err error) error {
	const most = 500
	text, readErr := os.ReadFile(p.log)
	if readErr != nil {
		return err
	}
	text = text[max(0, len(text)-most):]
	return fmt.Errorf("%w; the end of its log: %s", err, strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", " | "))
}

// freeAddress is an address of this host that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}
