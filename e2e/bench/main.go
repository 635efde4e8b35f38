// Command bench measures agents that scrape Prometheus targets and push the
// samples by remote write: CPU per sample, resident memory, bytes on the wire,
// samples lost and sent twice. It is both ends of the agent: it serves the
// targets, receives what the agent pushes, and reads the agent's CPU time and
// memory from /proc, so it runs on Linux alone. Everything stays on 127.0.0.1,
// and agents are binaries that are given to it; it builds and fetches none.
//
//	bench run [flags] NAME=KIND:BINARY [-argument ...] [NAME=KIND:BINARY ...]
//	bench compare [flags] A B ...     the same in turn, and the ratios A/B
//	bench table FILE ...              the tables of saved results
//	bench docs -from FILE DOC ...     puts saved results between a page's marks
//
// docs/performance.md says what is measured and how to read it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	debug.SetGCPercent(300) // this process should disturb the agent little
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		log.Fatalln(err)
	}
}

// command is the program: results go to out, progress to progress.
func command(ctx context.Context, args []string, out, progress io.Writer) error {
	if len(args) == 0 {
		return errors.New("want run, compare, table or docs; -h after each shows its flags")
	}
	switch name, rest := args[0], args[1:]; name {
	case "run":
		return runCommand(ctx, rest, out, progress, false)
	case "compare":
		return runCommand(ctx, rest, out, progress, true)
	case "table":
		return tableCommand(rest, out)
	case "docs":
		return docsCommand(rest)
	default:
		return fmt.Errorf("unknown command %q: want run, compare, table or docs", name)
	}
}
