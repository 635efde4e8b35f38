package scrape

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"kinglet"
	"kinglet/inputs"
)

// Instances is an input whose targets are those of its [[instances]] tables,
// and change by configuration alone. Inputs embed it.
type Instances[Config any, C Client] struct {
	manager *Manager
	targets TargetsOf[Config, C]

	mu      sync.Mutex // guards clients
	clients *Clients[C]
}

// TargetsOf makes the targets of one table, and takes what they are asked with
// of the clients. It opens no connection.
type TargetsOf[Config any, C Client] func(Config, inputs.Settings, *Clients[C]) ([]Target, error)

// NewInstances makes the input of that name, without targets.
func NewInstances[Config any, C Client](
	name string, targets TargetsOf[Config, C], log *slog.Logger, reg prometheus.Registerer,
) (*Instances[Config, C], error) {
	manager, err := NewManager(name, log, reg)
	if err != nil {
		return nil, err
	}
	return &Instances[Config, C]{manager: manager, targets: targets, clients: &Clients[C]{}}, nil
}

// Update makes cfgs the instances, while Run runs or before. Targets whose
// settings did not change are not touched. If there is any fault, nothing
// changes.
func (in *Instances[Config, C]) Update(cfgs []Config, settings inputs.Settings) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	var targets []Target
	clients := in.clients.Next()
	for i, cfg := range cfgs {
		made, err := in.targets(cfg, settings, clients)
		if err != nil {
			return fmt.Errorf("instance %d: %w", i+1, err)
		}
		targets = append(targets, made...)
	}
	in.manager.LimitSeries(settings.MaxSeries)
	in.manager.Update(targets)
	clients.Settle()
	in.clients = clients
	return nil
}

// Run scrapes until ctx ends.
func (in *Instances[Config, C]) Run(ctx context.Context, out kinglet.Sink) error {
	defer in.close()
	return in.manager.Run(ctx, out)
}

// Once scrapes every target one time.
func (in *Instances[Config, C]) Once(ctx context.Context, out kinglet.Sink) (down int, err error) {
	defer in.close()
	return in.manager.Once(ctx, out)
}

// Targets tells how the targets are doing.
func (in *Instances[Config, C]) Targets() []inputs.Target { return in.manager.Targets() }

func (in *Instances[Config, C]) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.clients.Close()
}

// Client is what targets are asked with. Close closes its idle connections; it
// can still be used.
type Client interface {
	comparable
	Close()
}

// Clients are the clients of an input by the settings that they were made of,
// so that an update keeps the connections of what did not change. The zero
// value has none. Not for concurrent use.
type Clients[C Client] struct {
	before, now map[string]C
}

// Next is empty, and makes no client that c has. C is not changed.
func (c *Clients[C]) Next() *Clients[C] { return &Clients[C]{before: c.now} }

// Of is the client of these settings; it is made where there is none.
func (c *Clients[C]) Of(settings string, build func() (C, error)) (C, error) {
	client, there := c.now[settings]
	if !there {
		client, there = c.before[settings]
	}
	if !there {
		var err error
		if client, err = build(); err != nil {
			return client, err
		}
	}
	if c.now == nil {
		c.now = map[string]C{}
	}
	c.now[settings] = client
	return client, nil
}

// Settle closes the clients of before that were not asked for again.
func (c *Clients[C]) Settle() {
	for settings, client := range c.before {
		if c.now[settings] != client {
			client.Close()
		}
	}
	c.before = nil
}

// Close closes them all.
func (c *Clients[C]) Close() {
	for _, client := range c.now {
		client.Close()
	}
}
