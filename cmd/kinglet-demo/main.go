// Command kinglet-demo shows kinglet at work with nothing else at hand: it
// serves pages recorded from a real cluster, runs the kinglet binary against
// them, takes what it pushes into a Prometheus database of its own, and prints
// what can be asked of it. It listens on loopback alone, and what it started
// and wrote is gone when it ends.
//
// It is a program of its own so that the database weighs on neither the size
// nor the memory of the agent.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options is the command line.
type options struct {
	kinglet  string        // path of the agent; "" looks for it and builds it
	port     int           // of the database; 0 = any
	fixed    bool          // port was asked for, so no other will do
	interval time.Duration // between scrapes
	duration time.Duration // stop by itself; 0 = at Ctrl-C
}

// defaultPort is asked for first; another is taken when it is in use.
const defaultPort = 9560

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	o, err := parseFlags(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		stop()
		os.Exit(2)
	}
	out := newScreen(os.Stdout, os.Getenv)
	if err := run(ctx, o, out); err != nil {
		fmt.Fprintln(os.Stderr, "kinglet-demo:", err)
		stop()
		os.Exit(1)
	}
	out.Line("stopped; nothing is left behind")
}

// parseFlags reads the command line; what is wrong with it has been printed.
func parseFlags(args []string, stderr io.Writer) (options, error) {
	o := options{}
	f := flag.NewFlagSet("kinglet-demo", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.kinglet, "kinglet", "", "`path` of the kinglet binary; without it, the one beside this program, else it is built")
	f.IntVar(&o.port, "port", defaultPort, "`port` of the database on 127.0.0.1; 0 takes any")
	f.DurationVar(&o.interval, "interval", 5*time.Second, "time between scrapes")
	f.DurationVar(&o.duration, "duration", 0, "end by itself after so long; 0 goes on until Ctrl-C")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	f.Visit(func(given *flag.Flag) { o.fixed = o.fixed || given.Name == "port" })
	var err error
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("unexpected %q after the flags", f.Arg(0))
	case o.interval < time.Second || o.interval > time.Minute:
		err = fmt.Errorf("-interval %v: want 1s to 1m", o.interval)
	case o.duration < 0:
		err = fmt.Errorf("-duration %v: want 0 or more", o.duration)
	case o.port < 0 || o.port > 65535:
		err = fmt.Errorf("-port %d: want 0 to 65535", o.port)
	}
	if err != nil {
		fmt.Fprintln(stderr, "kinglet-demo:", err)
	}
	return o, err
}

// run is the whole demo. It returns once everything it started has stopped.
func run(ctx context.Context, o options, out *screen) (err error) {
	start := time.Now()
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	dir, err := os.MkdirTemp("", "kinglet-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	binary, err := findKinglet(ctx, o.kinglet, dir, out)
	if err != nil {
		return err
	}
	s, err := openStore(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	world, err := serveWorld(s, o, start)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, world.Close()) }()

	conf := filepath.Join(dir, "conf")
	if err := writeConf(conf, world, o.interval); err != nil {
		return err
	}
	agent, err := startAgent(ctx, binary, conf, filepath.Join(dir, "kinglet.log"))
	if err != nil {
		return err
	}
	// The agent ends first, while there is still a database to take the rest.
	defer func() { err = errors.Join(err, agent.Stop()) }()
	return show(ctx, &reporter{store: s, world: world, interval: o.interval, start: start}, agent, out)
}
