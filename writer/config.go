package writer

import (
	"errors"
	"fmt"
	"time"

	"kinglet/conf/unit"
	"kinglet/writer/queue"
	"kinglet/writer/remotewrite"
)

// Config is [writer_opt]: what all writers share. Begin from DefaultConfig.
type Config struct {
	Batch          int           `toml:"batch"`            // most samples of one request
	ChanSize       int           `toml:"chan_size"`        // samples waiting between inputs and writer
	Linger         unit.Duration `toml:"linger"`           // a sample waits at most so long for its request to fill
	QueueMaxMemory unit.Bytes    `toml:"queue_max_memory"` // compressed bytes waiting for one endpoint; beyond it the oldest go
	DrainTimeout   unit.Duration `toml:"drain_timeout"`    // at a stop, time to send what is buffered

	QueueDir      string        `toml:"queue_dir" expand:"braces"` // what waits is kept here, a directory for each endpoint; "" = in memory only
	QueueMaxBytes unit.Bytes    `toml:"queue_max_bytes"`           // on disk for one endpoint; beyond it the oldest go
	QueueMaxAge   unit.Duration `toml:"queue_max_age"`             // what waited on disk for so long is given up; 0 = never
	QueueSync     string        `toml:"queue_sync"`                // "none", "interval" or "always": when what waits survives a power failure

	UserAgent string `toml:"-"` // "kinglet/VERSION"
}

// DefaultConfig takes batch and chan_size from Categraf. A million waiting
// samples are 8 MB of values; they only wait while the encoder is behind, which
// takes 0.2 µs a sample, so the channel hardly ever holds more than the scrapes
// of one moment. An outage is the queue's: 16 MiB at 40 bytes a sample are
// 420,000 samples, two minutes of a node with 50,000 series every 15 s, half an
// hour of one with 3,500. Stopping takes 5 s at most, which fits well into the
// 30 s that Kubernetes grants a pod, inputs included. On disk 1 GiB holds two
// hours of a node with 50,000 series every 15 s, and more than a day of one with
// 3,500; nobody looks at what is older than a day. A power failure takes the node
// with it, whose last half minute is not worth a write to the medium a second.
func DefaultConfig() Config {
	return Config{
		Batch:          1000,
		ChanSize:       1_000_000,
		Linger:         unit.Seconds(1),
		QueueMaxMemory: 16 * unit.MiB,
		DrainTimeout:   unit.Seconds(5),
		QueueMaxBytes:  unit.GiB,
		QueueMaxAge:    unit.Duration{Duration: 24 * time.Hour},
		QueueSync:      SyncNone,
		UserAgent:      "kinglet",
	}
}

// Most samples of one request: 10,000 series (RW-85) are about 3 MB decoded,
// well below the 32 MiB that receivers take (RW-87).
const maxBatch = 10_000

// Validate reports every fault at once, each under its TOML key. A batch or
// chan_size of 0 or less means the default, and a batch above 10,000 means
// 10,000, because Categraf's files have such.
func (c Config) Validate() error {
	var faults []error
	if c.Linger.Duration < 0 || c.Linger.Duration > time.Minute {
		faults = append(faults, fmt.Errorf("linger = %v: want 0s to 1m", c.Linger))
	}
	if c.QueueMaxMemory < unit.MiB {
		faults = append(faults, fmt.Errorf("queue_max_memory = %v: want 1MiB or more", c.QueueMaxMemory))
	}
	if c.DrainTimeout.Duration < 0 || c.DrainTimeout.Duration > 10*time.Minute {
		faults = append(faults, fmt.Errorf("drain_timeout = %v: want 0s to 10m", c.DrainTimeout))
	}
	if c.QueueMaxBytes < 16*unit.MiB {
		faults = append(faults, fmt.Errorf("queue_max_bytes = %v: want 16MiB or more", c.QueueMaxBytes))
	}
	if c.QueueMaxAge.Duration != 0 && c.QueueMaxAge.Duration < time.Minute {
		faults = append(faults, fmt.Errorf("queue_max_age = %v: want 0s (never) or 1m or more", c.QueueMaxAge))
	}
	if _, ok := syncs[c.QueueSync]; !ok {
		faults = append(faults, fmt.Errorf("queue_sync = %q: want %q, %q or %q", c.QueueSync, SyncNone, SyncInterval, SyncAlways))
	}
	return errors.Join(faults...)
}

// Values of Config.QueueSync.
const (
	SyncNone     = "none"     // when the kernel sees fit
	SyncInterval = "interval" // within a second
	SyncAlways   = "always"   // before a sample may be sent
)

var syncs = map[string]queue.Sync{SyncNone: queue.SyncNone, SyncInterval: queue.SyncInterval, SyncAlways: queue.SyncAlways}

// effective is c with what Categraf's users may have written replaced by what
// it means.
func (c Config) effective() Config {
	if c.Batch <= 0 {
		c.Batch = DefaultConfig().Batch
	}
	if c.ChanSize <= 0 {
		c.ChanSize = DefaultConfig().ChanSize
	}
	c.Batch = min(c.Batch, maxBatch)
	return c
}

// Names are the names of endpoints in logs and metrics, in their order: what
// the user wrote, else the position, counted from 1. A name that is taken is a
// fault.
func Names(endpoints []remotewrite.Config) ([]string, error) {
	names := make([]string, len(endpoints))
	taken := map[string]int{}
	var faults []error
	for i, e := range endpoints {
		names[i] = e.Name
		if e.Name == "" {
			names[i] = fmt.Sprint(i + 1)
		}
		if first, ok := taken[names[i]]; ok {
			faults = append(faults, fmt.Errorf("name = %q is taken by [[writers]] %d: want another", names[i], first))
			continue
		}
		taken[names[i]] = i + 1
	}
	return names, errors.Join(faults...)
}
