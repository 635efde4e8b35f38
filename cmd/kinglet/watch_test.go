package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"kinglet/conf"
	"kinglet/internal/tree"
)

func TestChangedTreeIsAppliedOnceItStandsStill(t *testing.T) {
	dir := tree.Make(t, map[string]string{"config.toml": "[global]\nhostname = \"one\"\n"})
	path := filepath.Join(dir, "config.toml")
	synctest.Test(t, func(t *testing.T) {
		p := process{stdout: io.Discard, stderr: io.Discard, getenv: func(string) (string, bool) { return "", false }}
		o := options{configs: dir}
		cfg, _, err := conf.Load(dir, loadOptions(o, p))
		if err != nil {
			t.Fatal(err)
		}
		a, err := newAgent(cfg, o, p, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go a.watch(ctx)
		defer synctest.Wait()
		defer cancel()
		hostname := func() string {
			synctest.Wait()
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.config.Global.Hostname
		}
		write := func(text string) {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}

		<-time.After(watchInterval / 2)
		write("") // an editor has cut the file and not written it yet
		<-time.After(watchInterval)
		write("[global]\nhostname = \"second\"\n")
		<-time.After(watchInterval)
		if got := hostname(); got != "one" {
			t.Errorf("the tree was applied as %q while it was being written", got)
		}
		<-time.After(watchInterval)
		if got := hostname(); got != "second" {
			t.Errorf("hostname %q a while after the change, want second", got)
		}
		write("[global]\nhostname = 7\n")
		<-time.After(3 * watchInterval)
		if got := hostname(); got != "second" {
			t.Errorf("a faulty tree was applied: hostname %q", got)
		}
	})
}

func TestFingerprintSeesTheSwapOfAConfigMap(t *testing.T) {
	dir := tree.Make(t, map[string]string{
		"..1/config.toml": "a = 1\n", "..2/config.toml": "a = 12\n", "input.prometheus/a.toml": "",
	})
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..1", "..data")
	link("..data/config.toml", "config.toml")
	before := fingerprint(dir)
	if before != fingerprint(dir) {
		t.Fatal("the fingerprint changes by itself")
	}
	link("..2", "..tmp")
	if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if before == fingerprint(dir) {
		t.Error("the swap of ..data is not seen")
	}
	before = fingerprint(dir)
	if err := os.WriteFile(filepath.Join(dir, "input.prometheus", "b.toml"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if before == fingerprint(dir) {
		t.Error("a new file of an input is not seen")
	}
}
