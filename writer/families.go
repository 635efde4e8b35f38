package writer

import (
	"maps"
	"slices"
	"sync"

	"kinglet"
)

// maxFamilies bounds what is remembered of metric families.
const maxFamilies = 20_000

// families is what pages say about metric families, for the endpoints that are
// sent it beside their samples. What two pages say differently is what the
// later one said.
type families struct {
	mu     sync.Mutex
	byName map[string]*kinglet.Meta
}

// note remembers the families of a shape.
func (f *families) note(shape *kinglet.Shape) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byName == nil {
		f.byName = map[string]*kinglet.Meta{}
	}
	var last *kinglet.Meta
	for i := range shape.Len() {
		m := shape.Meta(i)
		if m == nil || m == last || m.Family == "" {
			continue
		}
		if last = m; f.byName[m.Family] != nil || len(f.byName) < maxFamilies {
			f.byName[m.Family] = m
		}
	}
}

// all is every family, in no order.
func (f *families) all() []*kinglet.Meta {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Values(f.byName))
}
