package main

import (
	"math/rand/v2"
	"slices"
)

// perContainer is one metric that cAdvisor shows for each container.
type perContainer struct {
	name   string
	kind   kind
	scale  float64
	label  string   // one more label, if not ""
	values []string // of that label, one series each
}

// cadvisorMetrics are those of one container, in the order of the page.
func cadvisorMetrics() []perContainer {
	disk, network := []string{"/dev/nvme0n1"}, []string{"eth0"}
	one := func(name string, kind kind, scale float64) perContainer {
		return perContainer{name: "container_" + name, kind: kind, scale: scale}
	}
	by := func(label string, values []string, name string, kind kind, scale float64) perContainer {
		return perContainer{"container_" + name, kind, scale, label, values}
	}
	return []perContainer{
		by("cpu", []string{"total"}, "cpu_usage_seconds_total", counterFloat, 2),
		one("cpu_user_seconds_total", counterFloat, 1),
		one("cpu_system_seconds_total", counterFloat, 0.5),
		one("cpu_cfs_periods_total", counter, 50),
		one("cpu_cfs_throttled_periods_total", counter, 5),
		one("cpu_cfs_throttled_seconds_total", counterFloat, 0.2),
		one("memory_usage_bytes", gaugeBytes, 1<<28),
		one("memory_working_set_bytes", gaugeBytes, 1<<27),
		one("memory_rss", gaugeBytes, 1<<27),
		one("memory_cache", gaugeBytes, 1<<26),
		one("memory_mapped_file", gaugeBytes, 1<<22),
		one("memory_swap", still, 0),
		one("memory_max_usage_bytes", gaugeBytes, 1<<28),
		one("memory_failcnt", still, 0),
		by("failure_type", []string{"pgfault", "pgmajfault"}, "memory_failures_total", counter, 200),
		by("device", disk, "fs_reads_bytes_total", counter, 4096),
		by("device", disk, "fs_writes_bytes_total", counter, 40960),
		by("device", disk, "fs_reads_total", counter, 3),
		by("device", disk, "fs_writes_total", counter, 10),
		by("interface", network, "network_receive_bytes_total", counter, 90000),
		by("interface", network, "network_transmit_bytes_total", counter, 50000),
		by("interface", network, "network_receive_packets_total", counter, 300),
		by("interface", network, "network_transmit_packets_total", counter, 300),
		by("interface", network, "network_receive_errors_total", still, 0),
		one("pressure_cpu_waiting_seconds_total", counterFloat, 0.1),
		one("threads", gaugeSmall, 40),
		one("processes", still, 5),
		one("file_descriptors", gaugeSmall, 60),
		one("sockets", still, 12),
		one("start_time_seconds", still, 1.79e9),
		one("spec_cpu_period", still, 100000),
		one("spec_cpu_shares", still, 256),
		one("spec_memory_limit_bytes", still, 1<<29),
		by("state", []string{"running", "sleeping", "stopped", "iowaiting", "uninterruptible"}, "tasks_state", still, 0),
		by("ulimit", []string{"max_open_files"}, "ulimits_soft", still, 1048576),
		one("oom_events_total", still, 0),
	}
}

// container is the labels that all series of a container have.
type container struct{ id, image, name, namespace, pod, container string }

func newContainer(r *rand.Rand) container {
	of, id := pick(r, deployments()), hex(r, 64)
	uid := hex(r, 8) + "_" + hex(r, 4) + "_" + hex(r, 4) + "_" + hex(r, 4) + "_" + hex(r, 12)
	return container{
		id:    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uid + ".slice/cri-containerd-" + id + ".scope",
		image: "registry.example.com/team/" + of + "@sha256:" + hex(r, 64),
		name:  id, namespace: pick(r, namespaces()), pod: podName(r, of), container: of,
	}
}

// series is the line of one metric of c, without its value; labels are sorted,
// as cAdvisor's are.
func (c container) series(m perContainer, value string) []string {
	pairs := [][2]string{
		{"container", c.container}, {"id", c.id}, {"image", c.image},
		{"name", c.name}, {"namespace", c.namespace}, {"pod", c.pod},
	}
	if m.label != "" {
		pairs = append(pairs, [2]string{m.label, value})
		slices.SortFunc(pairs, func(a, b [2]string) int {
			if a[0] < b[0] {
				return -1
			}
			return 1
		})
	}
	var flat []string
	for _, pair := range pairs {
		flat = append(flat, pair[0], pair[1])
	}
	return []string{m.name + "{" + labels(flat...) + "} "}
}

// addCadvisor adds n series as the kubelet shows them for the containers of
// its node: metric by metric, long identities in every line.
func (p *page) addCadvisor(n int) {
	metrics, each := cadvisorMetrics(), 0
	for i, m := range metrics {
		if m.label == "" {
			metrics[i].values = []string{""}
		}
		each += len(metrics[i].values)
	}
	containers := make([]container, (n+each-1)/each)
	for i := range containers {
		containers[i] = newContainer(p.random)
	}
	end := p.series + n
	for _, m := range metrics {
		head := headOf(m.name, "Shown for each container.", family{kind: m.kind}.typeName())
		for _, c := range containers {
			for _, value := range m.values {
				if p.series == end {
					return
				}
				p.add(instrument{head: head, kind: m.kind, scale: m.scale, again: func() []string {
					return newContainer(p.random).series(m, value)
				}}, c.series(m, value))
				head = ""
			}
		}
	}
}
