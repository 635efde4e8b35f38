package main

import (
	"math/rand/v2"
	"strconv"
)

// family is one metric of a page, of which there are as many instruments as
// there is room.
type family struct {
	name, help string
	kind       kind
	scale      float64
	labels     func(r *rand.Rand) string // of one instrument, without braces
}

// typeName is what the page says of a family.
func (f family) typeName() string {
	switch f.kind {
	case histogram:
		return "histogram"
	case summary:
		return "summary"
	case counter, counterFloat:
		return "counter"
	default:
		return "gauge"
	}
}

// series are the lines of one instrument, without values.
func (f family) series(labels string) []string {
	var all []string
	switch f.kind {
	case histogram:
		for _, le := range []string{"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"} {
			all = append(all, f.name+"_bucket{"+labels+`,le="`+le+`"} `)
		}
		return append(all, f.name+"_sum{"+labels+"} ", f.name+"_count{"+labels+"} ")
	case summary:
		for _, q := range []string{"0.5", "0.9", "0.99"} {
			all = append(all, f.name+"{"+labels+`,quantile="`+q+`"} `)
		}
		return append(all, f.name+"_sum{"+labels+"} ", f.name+"_count{"+labels+"} ")
	default:
		return []string{f.name + "{" + labels + "} "}
	}
}

// addApp adds n series as an ordinary instrumented process has them, a
// controller or a web service: 40 % of histograms, 10 % of summaries, 30 %
// counters, the rest gauges.
func (p *page) addApp(id, n int) {
	w := newApp(p.random, id)
	end := p.series + n
	p.fill(w.histograms(), n*40/100)
	p.fill(w.summaries(), n*10/100)
	p.fill(w.counters(), n*30/100)
	p.fill(w.gauges(), end-p.series)
}

// fill adds instruments of the families, as many series of each, up to budget.
func (p *page) fill(families []family, budget int) {
	share := budget/len(families) + 1
	seen := map[string]bool{}
	for i, f := range families {
		left := min(share, budget)
		if i == len(families)-1 {
			left = budget
		}
		head := headOf(f.name, f.help, f.typeName())
		for taken := 0; left > 0; {
			labels := f.labels(p.random)
			if seen[f.name+labels] {
				if taken++; taken < 20 {
					continue
				}
				labels += `,uid="` + strconv.Itoa(taken) + `"` // few label values: made distinct
			}
			seen[f.name+labels] = true
			series := f.series(labels)
			if len(series) > left {
				break
			}
			p.add(instrument{head: head, kind: f.kind, scale: f.scale, again: func() []string {
				return f.series(f.labels(p.random) + `,rev="` + hex(p.random, 8) + `"`)
			}}, series)
			head = ""
			left -= len(series)
			budget -= len(series)
		}
	}
}

// app is one process: its label values.
type app struct {
	name, namespace                               string
	pods, verbs, codes, paths, resources, servers []string
}

func newApp(r *rand.Rand, id int) app {
	a := app{
		name:      pick(r, deployments()) + "-" + strconv.Itoa(id),
		namespace: pick(r, namespaces()),
		verbs:     []string{"GET", "POST", "PUT", "PATCH", "DELETE", "LIST", "WATCH"},
		codes:     []string{"200", "201", "204", "301", "400", "401", "403", "404", "409", "429", "500", "502", "503"},
		paths: []string{
			"/api/v1/orders", "/api/v1/orders/{id}", "/api/v1/users/{id}/cart", "/healthz", "/readyz",
			"/apis/apps/v1/namespaces/{namespace}/deployments", "/api/v1/namespaces/{namespace}/pods", "/oauth2/token", "/static/{file}",
		},
		resources: []string{
			"pods", "nodes", "services", "endpointslices", "configmaps", "secrets", "leases", "deployments", "replicasets", "events",
		},
		servers: []string{
			"10.96.0.1:443", "kubernetes.default.svc:443", "orders-db.prod.svc.cluster.local:5432",
			"redis-master.cache.svc.cluster.local:6379",
		},
	}
	for range 6 {
		a.pods = append(a.pods, podName(r, a.name))
	}
	return a
}

func (a app) histograms() []family {
	return []family{
		{"http_request_duration_seconds", "Time to answer a request.", histogram, 0.05, func(r *rand.Rand) string {
			return labels("handler", pick(r, a.paths), "method", pick(r, a.verbs), "code", pick(r, a.codes), "pod", pick(r, a.pods), "namespace", a.namespace)
		}},
		{"rest_client_request_duration_seconds", "Time of a request to a server, by verb.", histogram, 0.02, func(r *rand.Rand) string {
			return labels("host", pick(r, a.servers), "verb", pick(r, a.verbs), "resource", pick(r, a.resources), "shard", upTo(r, 16))
		}},
		{"workqueue_queue_duration_seconds", "Time an item waits in the queue.", histogram, 0.01, func(r *rand.Rand) string {
			return labels("name", pick(r, a.resources), "controller", a.name, "worker", upTo(r, 64))
		}},
		{"grpc_server_handling_seconds", "Time to handle a call.", histogram, 0.1, func(r *rand.Rand) string {
			return labels("grpc_method", "Get"+pick(r, a.resources), "grpc_service", "runtime.v1.RuntimeService", "grpc_type", "unary",
				"pod", pick(r, a.pods), "node", "node-"+upTo(r, 300))
		}},
	}
}

func (a app) summaries() []family {
	return []family{
		{"rpc_duration_seconds", "Time of a call.", summary, 0.03, func(r *rand.Rand) string {
			return labels("service", pick(r, deployments()), "method", "Call"+pick(r, a.resources), "peer", "10.244."+upTo(r, 200)+"."+upTo(r, 250))
		}},
		{"gc_pause_shard_seconds", "Time of a pause, by shard.", summary, 0.0001, func(r *rand.Rand) string {
			return labels("shard", upTo(r, 800), "pod", pick(r, a.pods), "namespace", a.namespace)
		}},
	}
}

func (a app) counters() []family {
	return []family{
		{"http_requests_total", "Requests, by code, method and handler.", counter, 50, func(r *rand.Rand) string {
			return labels("code", pick(r, a.codes), "handler", pick(r, a.paths), "method", pick(r, a.verbs), "pod", pick(r, a.pods),
				"namespace", a.namespace, "zone", "zone-"+upTo(r, 12))
		}},
		{"rest_client_requests_total", "Requests to servers, by code.", counter, 10, func(r *rand.Rand) string {
			return labels("code", pick(r, a.codes), "host", pick(r, a.servers), "method", pick(r, a.verbs), "client", upTo(r, 200))
		}},
		{"process_cpu_shard_seconds_total", "CPU time, by shard.", counterFloat, 3, func(r *rand.Rand) string {
			return labels("shard", upTo(r, 500), "mode", pick(r, []string{"user", "system", "iowait"}), "pod", pick(r, a.pods))
		}},
		{"proxy_endpoint_changes_total", "Changes of endpoints.", counter, 5, func(r *rand.Rand) string {
			return labels("ip_family", pick(r, []string{"IPv4", "IPv6"}), "table", pick(r, []string{"nat", "filter", "mangle"}),
				"service", pick(r, deployments())+"-"+upTo(r, 1000), "namespace", pick(r, namespaces()))
		}},
		{"db_client_operations_total", "Database operations, by table and result.", counter, 20, func(r *rand.Rand) string {
			return labels("db", "orders", "table", pick(r, a.resources), "op", pick(r, []string{"select", "insert", "update", "delete"}),
				"result", pick(r, []string{"ok", "error", "timeout"}), "pool", "pool-"+upTo(r, 40), "host", pick(r, a.servers),
				"pod", pick(r, a.pods), "namespace", a.namespace, "az", "az-"+upTo(r, 3), "tenant", hex(r, 8))
		}},
	}
}

func (a app) gauges() []family {
	return []family{
		{"workqueue_depth", "Items in the queue.", gaugeSmall, 30, func(r *rand.Rand) string {
			return labels("name", pick(r, a.resources), "controller", a.name, "queue", upTo(r, 400))
		}},
		{"memory_pool_bytes", "Bytes in use, by pool.", gaugeBytes, 1 << 26, func(r *rand.Rand) string {
			return labels("pool", "size-"+upTo(r, 400), "pod", pick(r, a.pods), "namespace", a.namespace)
		}},
		{"cache_hit_ratio", "Hits of all look-ups.", gauge, 1, func(r *rand.Rand) string {
			return labels("cache", pick(r, a.resources), "shard", upTo(r, 300), "pod", pick(r, a.pods))
		}},
	}
}

// upTo is a random number below n.
func upTo(r *rand.Rand, n int) string { return strconv.Itoa(r.IntN(n)) }
