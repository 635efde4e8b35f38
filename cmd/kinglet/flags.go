package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"kinglet/conf"
	"kinglet/inputs/catalog"
)

// options is the command line. Names are Categraf's; one dash and two are
// equal, as in Go's flag package.
type options struct {
	configs  string
	test     bool
	inputs   string
	debug    bool
	interval int64 // seconds; 0 = as configured
	version  bool
}

// defaultDir is the folder that is read without -configs.
func defaultDir(p process) string {
	return conf.DefaultDir(func(name string) string {
		value, _ := p.getenv(name)
		return value
	}, isDir)
}

// parseFlags reads the agent's command line. The error has been printed, in one
// line; for flag.ErrHelp, all flags have.
func parseFlags(args []string, p process) (options, error) {
	var o options
	f := flag.NewFlagSet("kinglet", flag.ContinueOnError)
	f.SetOutput(io.Discard) // it would print all flags after each error
	f.StringVar(&o.configs, "configs", defaultDir(p), "`folder` of config.toml and input.*/; also KINGLET_CONFIGS or CATEGRAF_CONFIGS")
	f.BoolVar(&o.test, "test", false, "dry run: scrape once, print the samples, send nothing; exit 1 if a target is down")
	f.StringVar(&o.inputs, "inputs", "", "run only these `inputs`, colon-separated, such as prometheus:self_metrics")
	f.BoolVar(&o.debug, "debug", false, "log at level debug")
	f.Int64Var(&o.interval, "interval", 0, "`seconds` between scrapes in place of [global] interval; an input's own interval still wins")
	f.BoolVar(&o.version, "version", false, "print the version and exit")
	// Categraf's other flags are taken, so that its command lines keep working.
	_ = f.Int("debug-level", 0, "accepted for compatibility; no effect")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			printUsage(f, p.stderr)
		} else {
			fmt.Fprintf(p.stderr, "kinglet: %v; see `kinglet help`\n", err)
		}
		return o, err
	}
	if rest := f.Args(); len(rest) > 0 {
		fmt.Fprintf(p.stderr, "kinglet: unexpected %q after the flags; see `kinglet help`\n", rest[0])
		return o, fmt.Errorf("unexpected argument %q", rest[0])
	}
	if err := knownInputs(o.inputs); err != nil {
		fmt.Fprintln(p.stderr, "kinglet:", err)
		return o, err
	}
	if o.interval < 0 || o.interval > int64(24*time.Hour/time.Second) {
		fmt.Fprintf(p.stderr, "kinglet: -interval %d: want 0 to 86400 seconds\n", o.interval)
		return o, fmt.Errorf("interval out of range")
	}
	return o, nil
}

// printUsage lists the subcommands, and the flags of f.
func printUsage(f *flag.FlagSet, w io.Writer) {
	fmt.Fprintf(w, "kinglet %s scrapes what lives on this node and pushes it by Prometheus remote write.\n\n"+
		"usage: kinglet [flags]            run the agent\n", version)
	for _, s := range subcommands() {
		fmt.Fprintf(w, "       kinglet %-18s %s\n", s.name, s.help)
	}
	fmt.Fprintf(w, "       kinglet %-18s %s\n", "help [SUBCOMMAND]", "print this, or the flags of one of the above")
	fmt.Fprint(w, "\nflags (one dash or two):\n")
	f.SetOutput(w)
	f.PrintDefaults()
}

// knownInputs refuses a list in which no name is that of an input: nothing
// would run, and nobody would know.
func knownInputs(list string) error {
	var unknown []string
	for name := range strings.SplitSeq(list, ":") {
		if name == "" {
			continue
		}
		if _, ok := catalog.Lookup(name); ok {
			return nil
		}
		unknown = append(unknown, name)
	}
	if len(unknown) == 0 {
		return nil
	}
	return fmt.Errorf("-inputs %s: kinglet has no such input, want names of %s, colon-separated", list, strings.Join(catalog.Names(), ", "))
}
