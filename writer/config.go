package writer

import "kinglet/conf/unit"

// Config is [writer_opt]: what all writers share. Begin from DefaultConfig.
type Config struct {
	Batch          int           `toml:"batch"`            // most samples of one request
	ChanSize       int           `toml:"chan_size"`        // samples waiting between inputs and writer
	Linger         unit.Duration `toml:"linger"`           // a sample waits at most so long for its request to fill
	QueueMaxMemory unit.Bytes    `toml:"queue_max_memory"` // compressed bytes waiting for one endpoint; beyond it the oldest go
	DrainTimeout   unit.Duration `toml:"drain_timeout"`    // at a stop, time to send what is buffered
}
