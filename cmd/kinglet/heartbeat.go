package main

import (
	"context"
	"reflect"
	"sync"

	"kinglet/conf"
	"kinglet/writer/heartbeat"
)

// beat sends heartbeats, as the configuration in force says, until ctx ends or
// stop is called, which waits for them to end.
func (a *agent) beat(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() { a.heart.Run(ctx) })
	return func() {
		cancel()
		beating.Wait()
	}
}

// applyHeartbeat gives the heartbeats [heartbeat] of cfg, and what they say of
// this host; nothing is touched if that did not change.
func (a *agent) applyHeartbeat(cfg *conf.Config) error {
	now, host := cfg.Heartbeat, a.host(cfg)
	if cfg != a.config && reflect.DeepEqual(now, a.config.Heartbeat) && reflect.DeepEqual(host, a.host(a.config)) {
		return nil
	}
	return a.heart.Update(now, host)
}

// host is what heartbeats say of this host. Its name is the one that samples
// carry as agent_hostname: by it Nightingale puts them together.
func (a *agent) host(cfg *conf.Config) heartbeat.Host {
	ip, _ := a.process.getenv("HOSTIP")
	return heartbeat.Host{Name: cfg.Global.Hostname, IP: ip, Labels: cfg.Global.Labels, Version: version}
}
