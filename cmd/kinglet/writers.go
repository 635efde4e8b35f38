package main

import (
	"reflect"

	"kinglet/conf"
)

// applyWriters gives the pipeline the writers of cfg. A writer that did not
// change keeps what waits for it. What a reload cannot change is said.
func (a *agent) applyWriters(cfg *conf.Config) error {
	if cfg == a.config {
		return nil // the first time: the pipeline was built of it
	}
	for _, part := range []struct {
		key      string
		now, old any
	}{
		{"writer_opt", cfg.WriterOpt, a.config.WriterOpt},
		{"log", cfg.Log, a.config.Log},
		{"serve", cfg.Serve, a.config.Serve},
	} {
		if !reflect.DeepEqual(part.now, part.old) {
			a.log.Warn("a change of this table takes effect at the next start", "table", part.key)
		}
	}
	if reflect.DeepEqual(cfg.Writers, a.config.Writers) {
		return nil
	}
	return a.pipeline.Update(cfg.Writers)
}
