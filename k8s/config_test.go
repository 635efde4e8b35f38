package k8s_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"kinglet/conf"
	"kinglet/inputs/kubelet"
	"kinglet/inputs/pods"
	"kinglet/inputs/prometheus"
)

// configDir is the folder that kinglet reads in a container of d: the image has
// none of its own.
func configDir(d *appsv1.DaemonSet) string {
	return conf.DefaultDir(func(string) string { return "" }, func(dir string) bool { return mounted(d, dir) })
}

// load reads the configuration as kinglet does in a container of d, and checks
// it as `kinglet check` does.
func load(t *testing.T, m manifests, d *appsv1.DaemonSet) *conf.Config {
	t.Helper()
	root := t.TempDir()
	mount(t, m, d, root)
	dir := filepath.Join(root, configDir(d))
	options := conf.Options{LookupEnv: podEnv(d, "node-7")}
	cfg, _, err := conf.Load(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range conf.Check(dir, options) {
		doubt := strings.Contains(f.String(), "insecure_skip_verify")
		if f.Severity > conf.Note && !doubt {
			t.Errorf("kinglet check: %s", f)
		}
	}
	return cfg
}

// instances are those of an input.
func instances[C any](cfg *conf.Config, input string) []*C {
	var all []*C
	for _, in := range cfg.Inputs {
		for _, instance := range in.Configs() {
			if c, ok := instance.(*C); ok && in.Name == input {
				all = append(all, c)
			}
		}
	}
	return all
}

func TestEveryConfigMapIsSound(t *testing.T) {
	eachRendering(t, func(t *testing.T, m manifests, d *appsv1.DaemonSet) {
		if dir := configDir(d); dir != "/etc/kinglet/conf" {
			t.Errorf("kinglet reads %s", dir)
		}
		cfg := load(t, m, d)
		if cfg.Global.Hostname != "node-7" || len(cfg.Writers) != 1 {
			t.Errorf("hostname %q, %d writers", cfg.Global.Hostname, len(cfg.Writers))
		}
	})
}

func TestEveryVariantCollectsTheNode(t *testing.T) {
	eachRendering(t, func(t *testing.T, m manifests, d *appsv1.DaemonSet) {
		cfg := load(t, m, d)
		i := slices.IndexFunc(instances[prometheus.Config](cfg, "prometheus"), func(c *prometheus.Config) bool { return c.Labels["job"] == "kube-proxy" })
		if i < 0 {
			t.Fatal("no kube-proxy")
		}
		for _, c := range instances[prometheus.Config](cfg, "prometheus") {
			if len(c.URLs) != 1 || !strings.HasPrefix(c.URLs[0], "http://127.0.0.1:") {
				t.Errorf("urls %v: want one of the node's own", c.URLs)
			}
			if c.Labels["job"] == "" || c.Labels["node"] != "node-7" || !strings.HasPrefix(c.Labels["instance"], "10.0.0.7:") {
				t.Errorf("labels %v: nodes cannot be told apart", c.Labels)
			}
		}
		pages := 0
		for _, c := range instances[kubelet.Config](cfg, "kubelet") {
			pages += len(c.Pages)
		}
		if pages != 4 {
			t.Errorf("%d pages of the kubelet", pages)
		}
		if !slices.ContainsFunc(instances[pods.Config](cfg, "pods"), func(c *pods.Config) bool { return c.RequireAnnotation }) {
			t.Error("pods are not scraped by annotation")
		}
	})
}

func TestComponentsAddTheirTargets(t *testing.T) {
	m := renderings(t)["kustomize-every-component"]
	var urls []string
	for _, c := range instances[prometheus.Config](load(t, m, theDaemonSet(t, m)), "prometheus") {
		urls = append(urls, c.URLs...)
	}
	if all := instances[pods.Config](load(t, m, theDaemonSet(t, m)), "pods"); !slices.ContainsFunc(all, func(c *pods.Config) bool {
		return c.Job == "coredns" && !c.RequireAnnotation && slices.Equal(c.PortNames, []string{"metrics"})
	}) {
		t.Error("CoreDNS is not scraped")
	}
	for _, want := range []string{
		"http://127.0.0.1:10249/metrics", "http://127.0.0.1:1338/v1/metrics", "http://127.0.0.1:2381/metrics",
		"http://127.0.0.1:9253/metrics", "http://127.0.0.1:54898/metricz",
	} {
		if !slices.Contains(urls, want) {
			t.Errorf("%s is not scraped: %v", want, urls)
		}
	}
}

func TestThePinnedCertificateIsThatOfEveryInstance(t *testing.T) {
	eachRendering(t, func(t *testing.T, m manifests, d *appsv1.DaemonSet) {
		want := ""
		for _, vm := range d.Spec.Template.Spec.Containers[0].VolumeMounts {
			if vm.Name == "kubelet-certificate" {
				want = vm.MountPath
			}
		}
		cfg := load(t, m, d)
		for _, c := range instances[kubelet.Config](cfg, "kubelet") {
			if c.CertFile != want {
				t.Errorf("kubelet_cert_file of %v is %q, want %q", c.Pages, c.CertFile, want)
			}
		}
		for _, c := range instances[pods.Config](cfg, "pods") {
			if c.KubeletCertFile != want {
				t.Errorf("kubelet_cert_file of %s is %q, want %q", c.Job, c.KubeletCertFile, want)
			}
		}
	})
}

func TestOverlaysNameTheirReceiver(t *testing.T) {
	all := renderings(t)
	for name, path := range map[string]string{
		"nightingale": ":17000/prometheus/v1/write", "victoriametrics": ":8428/api/v1/write", "prometheus": ":9090/api/v1/write",
	} {
		m := all["kustomize-"+name]
		cfg := load(t, m, theDaemonSet(t, m))
		if w := cfg.Writers[0]; !strings.HasSuffix(w.URL, path) || string(w.Profile) != name {
			t.Errorf("%s: profile %q, to %s", name, w.Profile, w.URL)
		}
		if beat := cfg.Heartbeat; beat.Enable != (name == "nightingale") || beat.Enable && !strings.HasSuffix(beat.URL, ":17000/v1/n9e/heartbeat") {
			t.Errorf("%s: heartbeat %v to %q", name, beat.Enable, beat.URL)
		}
	}
}

func TestStopFitsIntoTheGracePeriod(t *testing.T) {
	eachRendering(t, func(t *testing.T, m manifests, d *appsv1.DaemonSet) {
		cfg := load(t, m, d)
		grace := time.Duration(*d.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
		if drain := cfg.WriterOpt.DrainTimeout.Duration; grace < 2*drain {
			t.Errorf("the pod has %v to stop, the writer alone takes up to %v", grace, drain)
		}
		memory := d.Spec.Template.Spec.Containers[0].Resources.Limits.Memory()
		if queue := int64(cfg.WriterOpt.QueueMaxMemory) * int64(len(cfg.Writers)); 2*queue > memory.Value() {
			t.Errorf("the queues may hold %d bytes of the container's %d", queue, memory.Value())
		}
	})
}

func TestTheQueueFitsItsVolume(t *testing.T) {
	eachRendering(t, func(t *testing.T, m manifests, d *appsv1.DaemonSet) {
		cfg := load(t, m, d)
		i := slices.IndexFunc(d.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == "queue" })
		if i < 0 {
			if cfg.WriterOpt.QueueDir != "" {
				t.Errorf("queue_dir is %s, which is no volume", cfg.WriterOpt.QueueDir)
			}
			return
		}
		at := slices.IndexFunc(d.Spec.Template.Spec.Containers[0].VolumeMounts, func(vm corev1.VolumeMount) bool { return vm.Name == "queue" })
		if at < 0 || !strings.HasPrefix(cfg.WriterOpt.QueueDir, d.Spec.Template.Spec.Containers[0].VolumeMounts[at].MountPath+"/") {
			t.Errorf("queue_dir is %s: want it on the volume", cfg.WriterOpt.QueueDir)
		}
		v := d.Spec.Template.Spec.Volumes[i]
		if v.HostPath != nil {
			return // as large as the node's disk
		}
		if most := int64(cfg.WriterOpt.QueueMaxBytes) * int64(len(cfg.Writers)); most > v.EmptyDir.SizeLimit.Value()*3/4 {
			t.Errorf("the queues may hold %d bytes of a volume of %s", most, v.EmptyDir.SizeLimit)
		}
	})
}

func TestCategrafDaemonSetRunsWithOnlyItsImageChanged(t *testing.T) {
	m := readManifests(t, "testdata/categraf-daemonset.yaml")
	d, root := theDaemonSet(t, m), t.TempDir()
	c := d.Spec.Template.Spec.Containers[0]
	if len(c.Command) > 0 || len(c.Args) > 0 {
		t.Fatal("the image's entry point is what is tested here")
	}
	mount(t, m, d, root)
	dir := configDir(d)
	if dir != "/etc/categraf/conf" {
		t.Fatalf("kinglet reads %s", dir)
	}
	cfg, findings, err := conf.Load(filepath.Join(root, dir), conf.Options{LookupEnv: podEnv(d, "node-7")})
	if err != nil {
		t.Fatal(err)
	}
	if findings.Errors() > 0 {
		t.Errorf("findings: %v", findings)
	}
	if cfg.Global.Hostname != "node-7" || cfg.WriterOpt.Batch != 2000 || cfg.WriterOpt.ChanSize != 10000 {
		t.Errorf("hostname %q, batch %d, chan_size %d", cfg.Global.Hostname, cfg.WriterOpt.Batch, cfg.WriterOpt.ChanSize)
	}
	if got := cfg.Global.Interval.Duration; got != 15*time.Second {
		t.Errorf("interval %v", got)
	}
	if len(cfg.Writers) != 1 || cfg.Writers[0].URL != "http://10.0.0.1:19000/prometheus/v1/write" {
		t.Errorf("writers %+v", cfg.Writers)
	}
	all := instances[prometheus.Config](cfg, "prometheus")
	if len(cfg.Inputs) != 1 || len(all) != 1 || !slices.Equal(all[0].URLs, []string{"http://127.0.0.1:10249/metrics"}) || all[0].Labels["job"] != "kube-proxy" {
		t.Errorf("inputs %+v", cfg.Inputs)
	}
}
