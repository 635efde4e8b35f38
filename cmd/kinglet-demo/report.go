package main

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"
)

const (
	refresh     = time.Second      // of a live screen
	statusEvery = 10 * time.Second // a line, where the output is no screen
	firstWithin = time.Minute      // without a sample for so long, something is wrong
)

// examples are asked of the database for all to see.
var examples = []struct {
	about, query string
	format       func(float64) string
}{
	{"targets up, by job", `sum by (job) (up)`, plain},
	{"series, by job", `sum by (job) (scrape_samples_scraped)`, plain},
	{"service rules synced by kube-proxy, a minute", `60 * sum(rate(kubeproxy_sync_proxy_rules_duration_seconds_count[1m]))`, plain},
	{"99 % of syncs took less than", `histogram_quantile(0.99, sum by (le) (rate(kubeproxy_sync_proxy_rules_duration_seconds_bucket[1m])))`, seconds},
	{"requests to the kubelet, a second", `sum by (path) (rate(kubelet_http_requests_total[1m])) > 0`, plain},
	{"CPU used by pod, cores", `topk(3, sum by (pod) (rate(container_cpu_usage_seconds_total{pod!=""}[1m])))`, plain},
	{"memory in use by pod", `topk(3, sum by (pod) (container_memory_working_set_bytes{pod!="",container!=""}))`, bytesIEC},
}

// reporter says what the demo is doing, in words and numbers.
type reporter struct {
	store    *store
	world    *world
	interval time.Duration
	start    time.Time
	first    time.Time // when the first sample was stored
	pace     meter
}

// show prints reports until ctx ends or the agent does.
func show(ctx context.Context, r *reporter, a *agent, out *screen) error {
	out.Line(fmt.Sprintf("kinglet %s reads %s and writes to %s", a.cmd.Path, a.cmd.Args[2], r.world.database))
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	var lastStatus time.Time
	defer out.Leave()
	for {
		select {
		case <-a.done:
			out.Leave()
			return fmt.Errorf("kinglet ended by itself (%s); its last words:\n%s", a.cmd.ProcessState, a.lastLines(20))
		case <-ctx.Done():
			out.Leave()
			if r.first.IsZero() {
				return fmt.Errorf("no sample arrived; kinglet's last words:\n%s", a.lastLines(20))
			}
			// The last questions must outlive ctx, which has ended.
			last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			out.Block(r.full(last, time.Now()))
			return nil
		case now := <-ticker.C:
			if ms := r.store.counts.firstMs.Load(); ms > 0 {
				r.first = time.UnixMilli(ms)
			}
			switch {
			case r.first.IsZero() && now.Sub(r.start) > firstWithin:
				return fmt.Errorf("no sample arrived within %v; kinglet's last words:\n%s", firstWithin, a.lastLines(20))
			case r.first.IsZero():
			case out.live:
				out.Redraw(r.full(ctx, now))
			case lastStatus.IsZero():
				if now.Sub(r.first) >= r.interval { // every target has been scraped
					out.Block(r.full(ctx, now))
					lastStatus = now
				}
			case now.Sub(lastStatus) >= statusEvery:
				out.Line(r.pushed(now))
				lastStatus = now
			}
		}
	}
}

// full is the whole report.
func (r *reporter) full(ctx context.Context, now time.Time) []line {
	lines := []line{
		{bold, fmt.Sprintf("kinglet demo, up %v; the first sample was stored after %.1f s. Ctrl-C ends it.",
			now.Sub(r.start).Round(time.Second), r.first.Sub(r.start).Seconds())},
		{},
		{head, fmt.Sprintf("SCRAPED, every %v", r.interval)},
	}
	lines = append(lines, r.targets(ctx, now)...)
	lines = append(lines, line{}, line{head, "PUSHED, by remote write 1.0 to " + r.world.database + "/api/v1/write"},
		line{text: "  " + r.pushed(now)}, line{text: "  " + r.cost(ctx, now)}, line{}, line{head, "ASKED, in PromQL"})
	for _, e := range examples {
		lines = append(lines, line{text: fmt.Sprintf("  %-46s %s", e.about, r.answer(ctx, now, e.query, e.format))})
	}
	query := r.world.database + "/api/v1/query?query="
	return append(lines, line{}, line{head, "ASK YOURSELF"},
		line{text: "  curl -s '" + query + url.QueryEscape(`sum by (job) (up)`) + "'"},
		line{text: "  curl -s '" + query + url.QueryEscape(examples[3].query) + "'"},
		line{text: "  curl -sg '" + r.world.database + "/api/v1/series?match[]=kubeproxy_sync_proxy_rules_last_timestamp_seconds'"},
		line{text: "  curl -s http://" + r.world.agent + "/targets      and /metrics, /-/ready: kinglet's own health"},
	)
}

// targets tells of each target what its own series say.
func (r *reporter) targets(ctx context.Context, now time.Time) []line {
	var lines []line
	for _, t := range r.world.targets {
		ask := func(metric string) float64 {
			v, _ := r.one(ctx, now, fmt.Sprintf(`max(%s{job="%s"})`, metric, t.job))
			return v
		}
		l := line{text: fmt.Sprintf("  %-11s %-42s ", t.job, t.url)}
		switch ask("up") {
		case 1:
			l.style = good
			l.text += fmt.Sprintf("%6s series  %8s  up", plain(ask("scrape_samples_scraped")), seconds(ask("scrape_duration_seconds")))
		case 0:
			l.style = bad
			l.text += "down"
		default:
			l.text += "not scraped yet"
		}
		lines = append(lines, l)
	}
	return lines
}

// pushed is what arrived, as the database counted it.
func (r *reporter) pushed(now time.Time) string {
	c := &r.store.counts
	samples, requests := c.samples.Load(), c.requests.Load()
	rate := r.pace.observe(samples, now, 2*r.interval)
	per := math.Max(float64(samples), 1)
	return fmt.Sprintf("%s samples in %s requests, %s a second; %.1f bytes a sample (%.0f before compression); %s refused; %s series",
		count(samples), count(requests), plain(math.Round(rate)), float64(c.wireBytes.Load())/per, float64(c.rawBytes.Load())/per,
		count(c.refused.Load()), count(int64(r.store.seriesCount())))
}

// cost is what the agent takes of the machine, by its own series.
func (r *reporter) cost(ctx context.Context, now time.Time) string {
	memory, okMemory := r.one(ctx, now, `max(process_resident_memory_bytes{job="kinglet"})`)
	cpu, okCPU := r.one(ctx, now, `max(rate(process_cpu_seconds_total{job="kinglet"}[1m]))`)
	if !okMemory || !okCPU {
		return "kinglet has not told its memory and CPU yet"
	}
	return fmt.Sprintf("kinglet takes %s of memory and %.2f %% of a CPU", bytesIEC(memory), cpu*100)
}

// one asks for a single number; NaN and false if there is none.
func (r *reporter) one(ctx context.Context, now time.Time, query string) (float64, bool) {
	result, err := r.store.instant(ctx, query, now)
	if err != nil {
		return math.NaN(), false
	}
	if v, ok := result.Value.(promql.Vector); ok && len(v) == 1 {
		return v[0].F, true
	}
	return math.NaN(), false
}

// answer puts the result of a query on one line.
func (r *reporter) answer(ctx context.Context, now time.Time, query string, format func(float64) string) string {
	result, err := r.store.instant(ctx, query, now)
	if err != nil {
		return err.Error()
	}
	vector, _ := result.Value.(promql.Vector)
	var parts []string
	for _, sample := range vector {
		var names []string
		for _, value := range sample.Metric.Map() {
			names = append(names, value)
		}
		slices.Sort(names)
		if math.IsNaN(sample.F) {
			continue
		}
		parts = append(parts, strings.TrimSpace(strings.Join(names, " ")+" "+format(sample.F)))
	}
	if len(parts) == 0 {
		return "nothing yet: rates need two scrapes"
	}
	slices.Sort(parts)
	if len(parts) > 4 {
		parts = append(parts[:4], fmt.Sprintf("and %d more", len(parts)-4))
	}
	return strings.Join(parts, ", ")
}
