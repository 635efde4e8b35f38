package k8s_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"kinglet/conf"
	"kinglet/inputs/prometheus"
)

// wantArticle checks that the tree in dir is what the kube-proxy article sets up.
func wantArticle(t *testing.T, dir string, env func(string) (string, bool), endpoint string) {
	t.Helper()
	cfg, findings, err := conf.Load(dir, conf.Options{LookupEnv: env})
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
	if len(cfg.Writers) != 1 || cfg.Writers[0].URL != endpoint {
		t.Errorf("writers %d, want one to %s", len(cfg.Writers), endpoint)
	}
	if len(cfg.Inputs) != 1 || cfg.Inputs[0].Name != "prometheus" || len(cfg.Inputs[0].Instances) != 1 {
		t.Fatalf("inputs %v, want one instance of prometheus", cfg.Inputs)
	}
	instance, ok := cfg.Inputs[0].Instances[0].Config.(*prometheus.Config)
	if !ok || !slices.Equal(instance.URLs, []string{"http://127.0.0.1:10249/metrics"}) || instance.Labels["job"] != "kube-proxy" {
		t.Errorf("instance %+v", cfg.Inputs[0].Instances[0].Config)
	}
}

// configDir is the folder that kinglet reads in a container of d: the image has
// none of its own.
func configDir(d *appsv1.DaemonSet) string {
	return conf.DefaultDir(func(string) string { return "" }, func(dir string) bool { return mounted(d, dir) })
}

func TestShippedConfigMapsAreTheArticles(t *testing.T) {
	m := deployed(t)
	d, root := theDaemonSet(t, m), t.TempDir()
	mount(t, m, d, root)
	dir := configDir(d)
	if dir != "/etc/kinglet/conf" {
		t.Fatalf("kinglet reads %s", dir)
	}
	wantArticle(t, filepath.Join(root, dir), podEnv(d, "node-7"), "http://n9e-center.n9e.svc:17000/prometheus/v1/write")
	if findings := conf.Check(filepath.Join(root, dir), conf.Options{LookupEnv: podEnv(d, "node-7")}); findings.Errors() > 0 {
		t.Errorf("kinglet check: %v", findings)
	}
}

func TestStopFitsIntoTheGracePeriod(t *testing.T) {
	m := deployed(t)
	d, root := theDaemonSet(t, m), t.TempDir()
	mount(t, m, d, root)
	cfg, _, err := conf.Load(filepath.Join(root, "/etc/kinglet/conf"), conf.Options{LookupEnv: podEnv(d, "node-7")})
	if err != nil {
		t.Fatal(err)
	}
	grace := time.Duration(*d.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
	if drain := cfg.WriterOpt.DrainTimeout.Duration; grace < 2*drain {
		t.Errorf("the pod has %v to stop, the writer alone takes up to %v", grace, drain)
	}
	memory := d.Spec.Template.Spec.Containers[0].Resources.Limits.Memory()
	if queue := int64(cfg.WriterOpt.QueueMaxMemory) * int64(len(cfg.Writers)); 2*queue > memory.Value() {
		t.Errorf("the queues may hold %d bytes of the container's %d", queue, memory.Value())
	}
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
	wantArticle(t, filepath.Join(root, dir), podEnv(d, "node-7"), "http://10.0.0.1:19000/prometheus/v1/write")
}
