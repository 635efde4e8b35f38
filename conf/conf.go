// Package conf reads the tree of TOML files that a user writes, the one that
// Categraf users already have, and turns it into valid, typed configuration:
// config.toml and its siblings, and input.<name>/*.toml, file by file. Every
// fault is reported with its file, line and key. The package composes the
// Config types of the rooms that own them and decides nothing for them; it
// starts nothing, and sends nothing over the network.
package conf

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"kinglet/inputs"
	"kinglet/writer"
	"kinglet/writer/heartbeat"
	"kinglet/writer/remotewrite"
)

// Config is a whole tree, valid and expanded.
type Config struct {
	Dir       string // the folder that was read
	Global    Global // Hostname is resolved
	Log       Log
	Serve     Serve
	WriterOpt writer.Config
	Writers   []remotewrite.Config // in the order of the files
	Heartbeat heartbeat.Config
	Inputs    []Input // by name
}

// Input is one input.<name> folder.
type Input struct {
	Name      string
	Instances []Instance
}

// Instance is one [[instances]] table, or the one table of an input that has
// no instances.
type Instance struct {
	Pos    Pos // where it begins
	Config any // a pointer to the input's Config
}

// Configs are the instances as the input's constructor takes them.
func (in Input) Configs() []any {
	all := make([]any, len(in.Instances))
	for i := range in.Instances {
		all[i] = in.Instances[i].Config
	}
	return all
}

// Options are what the command line and the host add to a tree. The zero
// value is ready to use.
type Options struct {
	Inputs   []string      // read only these inputs; nil = all there are
	Interval time.Duration // if above 0, in place of [global] interval

	// LookupEnv and Hostname stand in for the process's environment and the
	// operating system's host name; nil = os.LookupEnv and os.Hostname.
	LookupEnv func(string) (string, bool)
	Hostname  func() (string, error)
}

// maxColumns bounds a row, and with it what one stencil holds: small enough
// that a few series that come or go re-cut little.
const maxColumns = 2000

// Settings is what every input needs to know. A row is never larger than one
// request or the channel, where those are set.
func (c *Config) Settings(userAgent string) inputs.Settings {
	columns := maxColumns
	for _, limit := range []int{c.WriterOpt.Batch, c.WriterOpt.ChanSize} {
		if limit > 0 {
			columns = min(columns, limit)
		}
	}
	s := inputs.Settings{
		Hostname:   c.Global.Hostname,
		Labels:     c.Global.Labels,
		Interval:   c.Global.Interval.Duration,
		Precision:  precisions[c.Global.Precision],
		MaxColumns: columns,
		UserAgent:  userAgent,
	}
	if c.Global.OmitHostname {
		s.Hostname = ""
	}
	return s
}

// Load reads the tree in dir. A relative dir is looked for in the working
// directory, then beside the program, as Categraf does.
//
// The error is not nil if config.toml or one of its siblings cannot be used,
// and names every fault of theirs; the Config is nil then. A fault in a file
// of an input is a Finding of severity Error, and only that file is left out.
// Findings hold everything there is to say, in both cases, for the log.
func Load(dir string, o Options) (*Config, Findings, error) {
	l := newLoader(dir, o, false)
	cfg := l.load()
	findings := l.report.sorted()
	if cfg != nil {
		return cfg, findings, nil
	}
	var faults []string
	for _, f := range findings {
		if f.Severity == Error && !strings.Contains(f.Pos.File, "/") {
			faults = append(faults, f.String())
		}
	}
	return nil, findings, fmt.Errorf("read configuration in %s: %s", l.dir, strings.Join(faults, "\n"))
}

// Check reads the tree in dir as Load does and returns all there is to say of
// it. What an agent only warns of so that old trees work, an unknown key for
// one, is an error here.
func Check(dir string, o Options) Findings {
	l := newLoader(dir, o, true)
	l.load()
	return l.report.sorted()
}

// loader reads one tree.
type loader struct {
	dir     string
	options Options
	report  *report
	secrets *secrets
	vars    *variables
	fields  fieldCache
}

func newLoader(dir string, o Options, strict bool) *loader {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	if o.Hostname == nil {
		o.Hostname = os.Hostname
	}
	return &loader{
		dir:     besideBinary(dir),
		options: o,
		report:  &report{strict: strict},
		secrets: &secrets{},
		fields:  fieldCache{},
	}
}

// load returns nil if the main files cannot be used. The inputs are read even
// then, so that all faults show at once.
func (l *loader) load() *Config {
	files, folders, err := l.list("")
	if err != nil {
		l.report.errorf(Pos{}, "", "the folder %s %s", l.dir, err)
		return nil
	}
	if !slices.Contains(files, mainFile) {
		l.report.errorf(Pos{File: mainFile}, "", "is not in %s, want at least a [[writers]] in it", l.dir)
	}
	var docs []document
	for _, file := range files {
		if doc, ok := l.readDocument(file); ok {
			docs = append(docs, doc)
		}
	}
	cfg := l.main(docs)
	broken := l.report.faults > 0
	cfg.Inputs = l.inputs(folders)
	l.checkTimes(cfg)
	if broken {
		return nil
	}
	return cfg
}

// mainFile is the one file that a tree must have.
const mainFile = "config.toml"
