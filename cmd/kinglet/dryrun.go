package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"kinglet"
	"kinglet/conf"
	"kinglet/inputs"
	"kinglet/inputs/catalog"
	"kinglet/writer/queue"
	"kinglet/writer/remotewrite"
)

// dryRun scrapes every selected target once and prints the samples; nothing is
// sent. Logs go to stderr, so that stdout holds samples alone.
func dryRun(ctx context.Context, o options, p process) int {
	cfg, findings, err := conf.Load(o.configs, loadOptions(o, p))
	if err != nil {
		fmt.Fprintln(p.stderr, "kinglet:", err)
		return exitFailure
	}
	log, closer, err := openLog(cfg.Log, o.debug, p, p.stderr)
	if err != nil {
		fmt.Fprintln(p.stderr, "kinglet:", err)
		return exitFailure
	}
	defer closer.Close()
	logFindings(log, findings)
	if len(cfg.Inputs) == 0 {
		fmt.Fprintf(p.stderr, "kinglet: no input of %s is to run; see --inputs and the input.* folders there\n", cfg.Dir)
		return exitFailure
	}
	out := newPrinter(p.stdout)
	down, targets := 0, 0
	for _, in := range cfg.Inputs {
		entry, ok := catalog.Lookup(in.Name)
		if !ok {
			continue // the loader has said so
		}
		_, reg := newMetricSet().fresh()
		input, err := entry.New(in.Configs(), cfg.Settings("kinglet/"+version), log, reg)
		if err == nil {
			var n int
			n, err = input.Once(ctx, out)
			down += n
		}
		if err != nil {
			fmt.Fprintf(p.stderr, "kinglet: input.%s: %v\n", in.Name, err)
			return exitFailure
		}
		if reporter, ok := input.(inputs.Reporter); ok {
			targets += len(reporter.Targets())
		}
	}
	if down > 0 || findings.Errors() > 0 {
		fmt.Fprintf(p.stderr, "kinglet: %d of %d targets were down, %d faults in the configuration\n", down, targets, findings.Errors())
		return exitFailure
	}
	return exitOK
}

// printer is the sink of a dry run: what it prints is decoded from the very
// blocks that would have been sent.
type printer struct {
	mu      sync.Mutex
	out     *bufio.Writer
	encoder remotewrite.Encoder
}

var _ kinglet.Sink = (*printer)(nil)

func newPrinter(w io.Writer) *printer {
	return &printer{out: bufio.NewWriter(w), encoder: remotewrite.Encoder{MaxSamples: 10_000, NativeHistograms: true}}
}

// Push prints rows; it blocks only on the output.
func (p *printer) Push(ctx context.Context, rows ...*kinglet.Row) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, row := range rows {
		rows[i] = remotewrite.NewView(row.Shape).Row(row)
	}
	for _, block := range p.encoder.Encode(rows...) {
		series, err := remotewrite.Decode(remotewrite.AppendBody(nil, []queue.Block{block}))
		if err != nil {
			return fmt.Errorf("decode what would have been sent: %w", err)
		}
		for _, s := range series {
			if err := p.print(s); err != nil {
				return fmt.Errorf("print a sample: %w", err)
			}
		}
	}
	return p.out.Flush()
}

// print writes the samples of one series as `HH:MM:SS name k=v ... value`, in
// local time, the pairs sorted as text and their values as they are.
func (p *printer) print(s remotewrite.Series) error {
	name, pairs := "", make([]string, 0, len(s.Labels))
	for _, l := range s.Labels {
		if l.Name == kinglet.MetricNameLabel {
			name = l.Value
			continue
		}
		pairs = append(pairs, l.Name+"="+l.Value)
	}
	slices.Sort(pairs)
	for _, sample := range s.Samples {
		_, err := fmt.Fprint(p.out, time.UnixMilli(sample.TimestampMs).Format("15:04:05"), " ", name)
		for _, pair := range pairs {
			if err == nil {
				_, err = fmt.Fprint(p.out, " ", pair)
			}
		}
		if err == nil {
			_, err = fmt.Fprintln(p.out, " "+strconv.FormatFloat(sample.Value, 'g', -1, 64))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
