package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"kinglet/conf"
	"kinglet/conf/httpclient"
	"kinglet/inputs/pods"
)

// Pods is what the input pods knows of this node's pods; false without it.
func (a *agent) Pods() (pods.Report, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.running {
		if in, ok := r.input.(interface{ Report() pods.Report }); ok {
			return in.Report(), true
		}
	}
	return pods.Report{}, false
}

// Waits lists what inputs wait for before they can scrape.
func (a *agent) Waits() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var waits []string
	for _, r := range a.running {
		if in, ok := r.input.(interface{ NotReady() string }); ok {
			if wait := in.NotReady(); wait != "" {
				waits = append(waits, wait)
			}
		}
	}
	return waits
}

// podsPage answers GET /pods with the Report of docs/pods.md.
func podsPage(h health) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		reporter, ok := h.(interface{ Pods() (pods.Report, bool) })
		if !ok {
			http.Error(w, noPodsInput, http.StatusNotFound)
			return
		}
		report, ok := reporter.Pods()
		if !ok {
			http.Error(w, noPodsInput, http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(report) // the caller hung up
	}
}

const noPodsInput = "this kinglet has no input.pods: want a file with [[instances]] in the folder input.pods of its configuration"

// podsFlags is the command line of `kinglet pods`.
type podsFlags struct {
	configs, url, namespace string
	json, all               bool
	timeout                 time.Duration
	names                   []string
}

// runPods is `kinglet pods [flags] [NAME...]`: what the kinglet that runs here
// makes of every pod of its node.
func runPods(ctx context.Context, args []string, p process) int {
	o, code := parsePodsFlags(args, p)
	if code >= 0 {
		return code
	}
	report, err := askForPods(ctx, o, p)
	if err != nil {
		fmt.Fprintln(p.stderr, "kinglet:", err)
		return exitFailure
	}
	report.Pods = slices.DeleteFunc(report.Pods, func(v pods.Verdict) bool { return !o.wants(v) })
	if o.json {
		e := json.NewEncoder(p.stdout)
		e.SetIndent("", "  ")
		err = e.Encode(report)
	} else {
		err = writePods(p.stdout, report, o.all, time.Now())
	}
	if err != nil {
		fmt.Fprintln(p.stderr, "kinglet: print the pods:", err)
		return exitFailure
	}
	if len(report.Pods) == 0 && (len(o.names) > 0 || o.namespace != "") {
		fmt.Fprintln(p.stderr, "kinglet: no such pod on this node")
		return exitFailure
	}
	return exitOK
}

// parsePodsFlags reads the command line. A code below 0 says to go on.
func parsePodsFlags(args []string, p process) (o podsFlags, code int) {
	f := flag.NewFlagSet("kinglet pods", flag.ContinueOnError)
	f.SetOutput(io.Discard) // it would print all flags after each error
	f.StringVar(&o.configs, "configs", defaultDir(p), "`folder` of config.toml, whose [serve] listen says where kinglet is asked")
	f.StringVar(&o.url, "url", "", "`address` of kinglet's listener, such as http://127.0.0.1:9559, in place of that")
	f.StringVar(&o.namespace, "namespace", "", "pods of this `namespace` alone")
	f.StringVar(&o.namespace, "n", "", "short for -namespace")
	f.BoolVar(&o.all, "all", false, "what every instance of the input says, where one of them scrapes the pod too")
	f.BoolVar(&o.json, "json", false, "print JSON, as GET /pods has it")
	f.DurationVar(&o.timeout, "timeout", 5*time.Second, "of the whole")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(p.stderr, "usage: kinglet pods [flags] [NAME...]     every pod of this node, or those with NAME in their names: scraped or not, and why")
		f.SetOutput(p.stderr)
		f.PrintDefaults()
		return o, exitOK
	case err != nil:
		fmt.Fprintf(p.stderr, "kinglet: %v; see `kinglet pods -help`\n", err)
		return o, exitUsage
	case o.timeout <= 0:
		fmt.Fprintf(p.stderr, "kinglet: -timeout %v: want more than 0\n", o.timeout)
		return o, exitUsage
	}
	o.names = f.Args()
	return o, -1
}

// wants reports whether a verdict is asked for.
func (o podsFlags) wants(v pods.Verdict) bool {
	if o.namespace != "" && v.Namespace != o.namespace {
		return false
	}
	return len(o.names) == 0 || slices.ContainsFunc(o.names, func(name string) bool {
		return strings.Contains(v.Pod, name) || name == v.Namespace+"/"+v.Pod
	})
}

// podsBytes bounds an answer: 8192 pods with some ports each.
const podsBytes = 64 << 20

// askForPods asks the kinglet that runs.
func askForPods(ctx context.Context, o podsFlags, p process) (report pods.Report, err error) {
	base := o.url
	if base == "" {
		cfg, _, err := conf.Load(o.configs, conf.Options{LookupEnv: p.getenv})
		if err != nil {
			return report, err
		}
		if base, err = listenerURL(cfg.Serve.Listen); err != nil {
			return report, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(base, "/")+"/pods", nil)
	if err != nil {
		return report, fmt.Errorf("-url %s: want http://HOST:PORT", base)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy: kinglet is here
	resp, err := client.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return report, fmt.Errorf("no kinglet answers at %s: %w: is it running, and is this its [serve] listen?", base, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, podsBytes))
	switch {
	case err != nil:
		return report, fmt.Errorf("read the answer of %s: %w", base, err)
	case resp.StatusCode != http.StatusOK:
		return report, fmt.Errorf("%s answers %s: %s", base, resp.Status, strings.Join(strings.Fields(string(body[:min(len(body), 512)])), " "))
	}
	if err := json.Unmarshal(body, &report); err != nil {
		return report, fmt.Errorf("%s is no kinglet that has pods: %w", base, err)
	}
	return report, nil
}

// listenerURL is where the listener is asked from this host.
func listenerURL(listen string) (string, error) {
	if listen == "" {
		return "", errors.New("[serve] listen is \"\", so that kinglet cannot be asked: want an address, or -url")
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("[serve] listen: %w", err)
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

// writePods prints a table, with the reasons last.
func writePods(w io.Writer, r pods.Report, all bool, now time.Time) error {
	for _, s := range r.Sources {
		if _, err := fmt.Fprintln(w, sourceLine(s, now)); err != nil {
			return err
		}
	}
	verdicts := r.Pods
	if !all {
		verdicts = withoutOutvoted(verdicts)
	}
	several := slices.ContainsFunc(verdicts, func(v pods.Verdict) bool { return v.Instance > 1 })
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(instance string, cells ...string) {
		if several {
			cells = slices.Insert(cells, len(cells)-1, instance)
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	row("INSTANCE", "NAMESPACE", "POD", "CONTAINER", "PORT", "STATE", "WHY")
	for _, v := range verdicts {
		port := "-"
		if v.Port != 0 {
			port = strconv.Itoa(v.Port)
		}
		state, why := "skipped", v.Reason
		if v.Scraped {
			state, why = cmp.Or(v.Health, "unknown"), v.URL
			if v.Error != "" {
				why += ": " + v.Error
			}
		}
		row(strconv.Itoa(v.Instance), oneLine(v.Namespace), oneLine(v.Pod), cmp.Or(oneLine(v.Container), "-"), port, oneLine(state), oneLine(why))
	}
	return t.Flush()
}

// sourceLine says in a line how the pods were found.
func sourceLine(s pods.SourceReport, now time.Time) string {
	line := fmt.Sprintf("node %s: ", cmp.Or(s.Node, "(name unknown)"))
	switch s.Source {
	case "":
		line += "its pods are not known yet"
	case "api":
		line += fmt.Sprintf("%d pods, from the API server", s.Pods)
	default:
		line += fmt.Sprintf("%d pods, from the %s %v ago", s.Pods, s.Source, max(now.Sub(s.Updated), 0).Round(time.Second))
	}
	if s.KubeletRefuses != "" {
		line += "; the kubelet is not asked: " + s.KubeletRefuses
	}
	if s.Error != "" {
		line += "; " + s.Error
	}
	return oneLine(line)
}

// withoutOutvoted leaves out what instances say of pods that others scrape.
func withoutOutvoted(verdicts []pods.Verdict) []pods.Verdict {
	scraped := map[string]int{} // by pod, the first instance
	for _, v := range verdicts {
		if key := v.Namespace + "/" + v.Pod; v.Scraped && scraped[key] == 0 {
			scraped[key] = v.Instance
		}
	}
	var kept []pods.Verdict
	for _, v := range verdicts {
		by := scraped[v.Namespace+"/"+v.Pod]
		if v.Scraped || by == 0 || by == v.Instance {
			kept = append(kept, v)
		}
	}
	return kept
}

// oneLine keeps text of outside from breaking the table, and the terminal.
func oneLine(text string) string {
	return httpclient.Printable(strings.Join(strings.Fields(text), " "))
}
