package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	"kinglet/conf"
	"kinglet/writer"
	"kinglet/writer/doctor"
	"kinglet/writer/remotewrite"
)

// doctorFlags is the command line of `kinglet doctor`.
type doctorFlags struct {
	configs, writer, queryURL string
	write, json               bool
	timeout                   time.Duration
}

// runDoctor is `kinglet doctor`: each endpoint of a tree, and what else leaves
// this host or waits to, looked at from here.
func runDoctor(ctx context.Context, args []string, p process) int {
	var o doctorFlags
	f := flag.NewFlagSet("kinglet doctor", flag.ContinueOnError)
	f.SetOutput(io.Discard) // it would print all flags after each error
	f.StringVar(&o.configs, "configs", defaultDir(p), "`folder` of config.toml")
	f.StringVar(&o.writer, "writer", "", "look at the writer of this `name` (its position, if it has none) alone")
	f.StringVar(&o.queryURL, "query-url", "", "`address` below which the store has /api/v1/query, in place of query_url")
	f.BoolVar(&o.write, "write", false, "write two samples of "+doctor.ProbeName+", one of them two minutes old; without it nothing is written")
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.DurationVar(&o.timeout, "timeout", doctor.DefaultOptions().Timeout, "of each step")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(p.stderr, "usage: kinglet doctor [flags]     look at every endpoint, and say what is wrong and what to change")
		f.SetOutput(p.stderr)
		f.PrintDefaults()
		return exitOK
	case err != nil:
		fmt.Fprintf(p.stderr, "kinglet: %v; see `kinglet doctor -help`\n", err)
		return exitUsage
	case f.NArg() > 0:
		fmt.Fprintf(p.stderr, "kinglet: unexpected %q after the flags; see `kinglet doctor -help`\n", f.Arg(0))
		return exitUsage
	case o.timeout < 100*time.Millisecond || o.timeout > time.Minute:
		fmt.Fprintf(p.stderr, "kinglet: -timeout %v: want 100ms to 1m\n", o.timeout)
		return exitUsage
	}
	cfg, findings, err := conf.Load(o.configs, conf.Options{LookupEnv: p.getenv})
	if err != nil {
		fmt.Fprintln(p.stderr, "kinglet:", err)
		return exitFailure
	}
	reports, err := examine(ctx, cfg, o)
	if err != nil {
		fmt.Fprintln(p.stderr, "kinglet:", err)
		return exitFailure
	}
	if why := findings.NoHeartbeat(); len(why) > 0 && o.writer == "" {
		reports = append(reports, heartbeatIsOff(cfg, why))
	}
	writeReports := doctor.Text
	if o.json {
		writeReports = doctor.JSON
	}
	if err := writeReports(p.stdout, reports); err != nil {
		fmt.Fprintln(p.stderr, "kinglet: print what was found:", err)
		return exitFailure
	}
	for _, r := range reports {
		if !r.Fine() {
			return exitFailure
		}
	}
	return exitOK
}

// examine looks at the writers of cfg, one after the other, and unless it is to
// be one writer alone, at the queue's directory and at the heartbeat.
func examine(ctx context.Context, cfg *conf.Config, o doctorFlags) ([]doctor.Report, error) {
	options := doctor.DefaultOptions()
	options.Timeout, options.Write, options.QueryURL = o.timeout, o.write, o.queryURL
	options.UserAgent, options.Proxy = "kinglet/"+version, http.ProxyFromEnvironment
	if !cfg.Global.OmitHostname {
		options.Hostname = cfg.Global.Hostname
	}
	names, err := writer.Names(cfg.Writers)
	if err != nil {
		return nil, err
	}
	reports := []doctor.Report{}
	for i, w := range cfg.Writers {
		if o.writer == "" || o.writer == names[i] {
			reports = append(reports, doctor.Writer(ctx, names[i], w, options))
		}
	}
	switch {
	case len(cfg.Writers) == 0:
		return nil, fmt.Errorf("%s has no [[writers]]: what is scraped goes nowhere", cfg.Dir)
	case len(reports) == 0:
		return nil, fmt.Errorf("-writer %s: there is no such writer, want one of %q", o.writer, names)
	case o.writer != "":
		return reports, nil
	}
	if dir := cfg.WriterOpt.QueueDir; dir != "" {
		reports = append(reports, doctor.QueueDir(dir, int64(cfg.WriterOpt.QueueMaxBytes)*int64(len(cfg.Writers))))
	}
	if cfg.Heartbeat.Enable {
		reports = append(reports, doctor.Heartbeat(ctx, cfg.Heartbeat, options))
	}
	return reports, nil
}

// heartbeatIsOff is the report on a heartbeat that was turned off when the tree
// was read, as the agent would turn it off.
func heartbeatIsOff(cfg *conf.Config, why conf.Findings) doctor.Report {
	r := doctor.Report{Of: "heartbeat", URL: remotewrite.Config{URL: cfg.Heartbeat.URL}.DisplayURL()}
	for _, f := range why {
		r.Checks = append(r.Checks, doctor.Check{Name: "config", Grade: doctor.Fail, Detail: fmt.Sprintf("%s: %s: %s", f.Pos, f.Key, f.Message)})
	}
	return r
}
