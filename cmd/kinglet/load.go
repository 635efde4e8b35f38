package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"kinglet/conf"
)

// loadOptions are what the command line adds to the tree.
func loadOptions(o options, p process) conf.Options {
	c := conf.Options{Interval: time.Duration(o.interval) * time.Second, LookupEnv: p.getenv}
	for token := range strings.SplitSeq(o.inputs, ":") {
		if token != "" {
			c.Inputs = append(c.Inputs, token)
		}
	}
	return c
}

// logFindings writes what the loader had to say, each at its level.
func logFindings(log *slog.Logger, findings conf.Findings) {
	for _, f := range findings {
		level := slog.LevelInfo
		switch f.Severity {
		case conf.Warning:
			level = slog.LevelWarn
		case conf.Error:
			level = slog.LevelError
		}
		var where []any // a finding about the tree as a whole has no place
		if at := f.Pos.String(); at != "" {
			where = append(where, "at", at)
		}
		if f.Key != "" {
			where = append(where, "key", f.Key)
		}
		log.Log(context.Background(), level, "configuration", append(where, "finding", f.Message)...)
	}
}

// runCheck is `kinglet check [--configs DIR]`: everything that is wrong with a
// tree, at once.
func runCheck(_ context.Context, args []string, p process) int {
	o, err := parseFlags(args, p)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return exitUsage
	}
	findings := conf.Check(o.configs, loadOptions(o, p))
	if err := findings.Write(p.stdout); err != nil {
		fmt.Fprintln(p.stderr, "kinglet: print the findings:", err)
		return exitFailure
	}
	if n := findings.Errors(); n > 0 {
		fmt.Fprintf(p.stderr, "kinglet: %s: %d to mend\n", o.configs, n)
		return exitFailure
	}
	fmt.Fprintf(p.stdout, "%s: nothing to mend\n", o.configs)
	return exitOK
}

// isDir reports whether there is a folder of that name.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
