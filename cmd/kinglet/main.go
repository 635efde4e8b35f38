// Command kinglet scrapes what lives on its node and pushes it by Prometheus
// remote write. Without a subcommand it runs the agent; `kinglet help` lists
// the others.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker: -X main.version=v1.2.3-<commit>.
var version = "dev"

// Exit codes. A signal that ends the agent in an orderly way is no failure.
const (
	exitOK      = 0
	exitFailure = 1 // bad configuration, or a target down in a dry run
	exitUsage   = 2 // unknown flag or subcommand
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	defer stop()
	tuneRuntime(os.LookupEnv)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	os.Exit(run(ctx, os.Args[1:], process{stdout: os.Stdout, stderr: os.Stderr, getenv: os.LookupEnv, hangups: hangups}))
}

// process is what a run sees of the world around it.
type process struct {
	stdout, stderr io.Writer
	getenv         func(string) (string, bool)
	hangups        <-chan os.Signal // each asks for a reload
}

// subcommand is what `kinglet NAME` runs.
type subcommand struct {
	name, help string
	run        func(context.Context, []string, process) int
}

// subcommands of kinglet, beside the agent itself.
func subcommands() []subcommand {
	return []subcommand{
		{"check", "read a configuration and print everything that is wrong with it", runCheck},
		{"doctor", "look at every endpoint from here, and say what is wrong and what to change", runDoctor},
		{"demo", "run kinglet against recorded pages and a built-in database", runDemo},
		{"pods", "list the pods of this node: scraped or not, and why", runPods},
		{"version", "print the version", func(_ context.Context, _ []string, p process) int {
			fmt.Fprintln(p.stdout, version)
			return exitOK
		}},
	}
}

// run is the whole program; it returns its exit code.
func run(ctx context.Context, args []string, p process) int {
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		return runSubcommand(ctx, args[0], args[1:], p)
	}
	o, err := parseFlags(args, p)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitOK
		}
		return exitUsage // parseFlags has said why
	}
	if o.version {
		fmt.Fprintln(p.stdout, version)
		return exitOK
	}
	if o.test {
		return dryRun(ctx, o, p)
	}
	return runAgent(ctx, o, p)
}

func runSubcommand(ctx context.Context, name string, args []string, p process) int {
	asked := name == "help"
	if asked && len(args) > 0 && args[0] != "help" { // the flags of one
		name, args = args[0], []string{"-help"}
	}
	for _, s := range subcommands() {
		if s.name == name {
			if asked {
				p.stderr = p.stdout
			}
			return s.run(ctx, args, p)
		}
	}
	if name == "help" {
		_, _ = parseFlags([]string{"-help"}, process{stdout: p.stdout, stderr: p.stdout, getenv: p.getenv})
		return exitOK
	}
	fmt.Fprintf(p.stderr, "kinglet: %q is no subcommand; try `kinglet help`\n", name)
	return exitUsage
}
