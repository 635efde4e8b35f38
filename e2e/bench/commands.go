package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"
)

// options are the flags of run and compare.
type options struct {
	scenarios, pages, targets, out, label, version string
	interval, warm, measure, outage                time.Duration
	rounds                                         int
	churn                                          float64
	aged, plain, ports                             bool
	runner                                         runner
}

func (o *options) register(fs *flag.FlagSet) {
	fs.StringVar(&o.scenarios, "scenario", "real,S1", "`names` separated by commas: real, S1 to S7")
	fs.StringVar(&o.pages, "pages", "inputs/promtext/testdata", "`folder` of the recorded pages")
	fs.StringVar(&o.targets, "targets", "", "replace the targets, as in 60x500:app,1x20000:cadvisor,1:file:PATH")
	fs.DurationVar(&o.interval, "interval", 0, "replace the scrape interval")
	fs.DurationVar(&o.warm, "warm", 0, "replace the warm-up")
	fs.DurationVar(&o.measure, "measure", 0, "replace the time measured; give a multiple of the interval")
	fs.DurationVar(&o.outage, "outage", 30*time.Second, "length of the outage of S4 and S5")
	fs.IntVar(&o.rounds, "rounds", 1, "measure every agent so often, in turn")
	fs.Float64Var(&o.churn, "churn", 0, "`percent` of the series replaced per minute")
	fs.BoolVar(&o.aged, "aged", false, "replace all series once before the agent starts, so that with -churn the load stays as it begins")
	fs.BoolVar(&o.plain, "plain", false, "targets never compress")
	fs.BoolVar(&o.ports, "ports", false, "a port of its own for each target")
	fs.StringVar(&o.label, "label", "", "add `text` to the names of the scenarios in the results")
	fs.StringVar(&o.out, "out", "", "write the results to this `file`, as JSON")
	fs.StringVar(&o.version, "version", "", "say in the results that kinglet is this `version`")
	fs.StringVar(&o.runner.work, "work", "", "`folder` for the agents' files (default: the system's)")
	fs.BoolVar(&o.runner.keep, "keep", false, "keep the agents' files and logs")
}

// chosen is the scenarios with what the flags replace.
func (o *options) chosen() ([]scenario, error) {
	all, err := chooseScenarios(scenarios(o.pages, o.outage), o.scenarios)
	if err != nil {
		return nil, err
	}
	if o.rounds < 1 {
		return nil, fmt.Errorf("-rounds %d: want 1 or more", o.rounds)
	}
	for i := range all {
		s := &all[i]
		if o.targets != "" {
			if s.Groups, err = parseGroups(o.targets); err != nil {
				return nil, err
			}
		}
		for _, change := range []struct {
			to   *time.Duration
			from time.Duration
		}{{&s.Interval, o.interval}, {&s.Warm, o.warm}, {&s.Measure, o.measure}} {
			if change.from > 0 {
				*change.to = change.from
			}
		}
		if o.label != "" {
			s.Name += "-" + o.label
		}
		s.Churn, s.Aged, s.Plain, s.Ports = o.churn, o.aged, o.plain, o.ports
	}
	return all, nil
}

// runCommand measures every agent in every scenario, in turn as often as there
// are rounds. An agent that fails is in the results and in the error; the
// others go on.
func runCommand(ctx context.Context, args []string, out, progress io.Writer, compare bool) error {
	var o options
	fs := flag.NewFlagSet("bench run", flag.ContinueOnError)
	fs.SetOutput(progress)
	o.register(fs)
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("read flags: %w", err)
	}
	agents, err := parseAgents(fs.Args())
	if err != nil {
		return err
	}
	if compare && len(agents) < 2 {
		return errors.New("compare: want two agents or more")
	}
	chosen, err := o.chosen()
	if err != nil {
		return err
	}
	rep := newReport(time.Now(), o.version)
	var faults []error
	for _, s := range chosen {
		for round := range o.rounds {
			for _, a := range agents {
				fmt.Fprintf(progress, "%s %s, round %d of %d: %s\n", time.Now().Format(time.TimeOnly), s.Name, round+1, o.rounds, a.Name)
				res, err := o.runner.run(ctx, a, s)
				faults = append(faults, err)
				if ctx.Err() != nil {
					return fmt.Errorf("stopped: %w", ctx.Err())
				}
				rep.Results = append(rep.Results, res)
			}
		}
	}
	writeTables(out, rep)
	if compare {
		writeRatios(out, rep)
	}
	if o.out != "" {
		faults = append(faults, rep.write(o.out))
	}
	return errors.Join(faults...)
}

// tableCommand prints the tables of saved results.
func tableCommand(args []string, out io.Writer) error {
	for _, path := range args {
		r, err := readReport(path)
		if err != nil {
			return err
		}
		writeTables(out, r)
	}
	return nil
}
