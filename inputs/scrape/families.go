package scrape

import (
	"kinglet"
	"kinglet/inputs/promtext"
)

// What a page says of its families goes into shapes, as pointers that all series
// of a family share. It is looked at when a series is discovered, and when a
// comment is not the expected one: known lines cost nothing.

// newFamily notes what a comment says of a family.
func (w *walk) newFamily(l *promtext.Line) (ref int32) {
	info := familyInfo{name: string(l.Family), comment: l.Kind}
	if w.family >= 0 && w.l.families[w.family].name == info.name {
		info = w.l.families[w.family]
		info.meta, info.comment = nil, l.Kind
	}
	switch l.Kind {
	case promtext.Help:
		info.help = string(l.Text)
	case promtext.Type:
		info.kind = l.Type
	}
	w.l.families = append(w.l.families, info)
	return refFamily - int32(len(w.l.families)-1)
}

// familyOf is what the page has said of the family it speaks of, if the series
// of that name is one of it.
func (w *walk) familyOf(name string) *kinglet.Meta {
	if w.family < 0 {
		return nil
	}
	info := &w.l.families[w.family]
	if info.meta != nil && info.final {
		if !promtext.InFamily(info.meta.Family, info.kind, name) {
			return nil
		}
		return info.meta
	}
	if w.metaOf != w.family {
		w.metaOf = w.family
		w.meta.Reset()
		lines := []promtext.Line{
			{Kind: promtext.Help, Family: []byte(info.name), Text: []byte(info.help)},
			{Kind: promtext.Type, Family: []byte(info.name), Type: info.kind},
		}
		for i := range lines {
			w.meta.Observe(&lines[i])
		}
	}
	meta := w.meta.Of(name)
	if meta == nil || info.meta != nil {
		return meta
	}
	info.meta, info.final = meta, false
	shared := w.shared(meta)
	if shared.Help == info.help {
		info.help = shared.Help // one text in memory is enough
	}
	if info.final = *shared == *meta; info.final {
		info.meta = shared
	}
	return info.meta
}

// settleFamilies makes what new comments of a good page say hold for comments
// that stayed, too. A new type goes to the series that are there; a new help text
// only with the next one that comes, because some exporters have one every time.
func (w *walk) settleFamilies() {
	families := w.l.families
	if len(families) == w.families {
		return
	}
	type comment struct {
		name string
		kind promtext.Kind
	}
	known, last := map[string][]int32{}, map[comment]int{} // of each the last one on the page counts
	for j := range families[:w.families] {
		known[families[j].name] = append(known[families[j].name], int32(j))
	}
	for i, fresh := range families[w.families:] {
		last[comment{fresh.name, fresh.comment}] = w.families + i
	}
	for i := w.families; i < len(families); i++ {
		fresh := &families[i]
		if last[comment{fresh.name, fresh.comment}] != i {
			continue
		}
		for _, j := range known[fresh.name] {
			old := &families[j]
			switch {
			case fresh.comment == promtext.Help && old.help != fresh.help:
				old.help, old.meta = fresh.help, nil
			case fresh.comment == promtext.Type && old.kind != fresh.kind && (old.comment == promtext.Type || old.kind != kinglet.TypeUnknown):
				old.kind, old.meta = fresh.kind, nil
				w.family = int32(i)
				if meta := w.familyOf(fresh.name); meta != nil {
					w.shared(meta)
				}
			}
		}
	}
}

// shared is the one Meta for all series of a family, under the name that they
// are sent with. If the page says now other things of a family than before, the
// series that are there get the new Meta at commit (RW-24).
func (w *walk) shared(exposed *kinglet.Meta) *kinglet.Meta {
	switch {
	case exposed == nil:
		return nil
	case exposed == w.lastExposed:
		return w.lastShared
	case w.family >= 0 && exposed == w.l.families[w.family].meta && w.l.families[w.family].final:
		return exposed
	}
	if w.metas == nil {
		w.metas = w.l.metas()
	}
	meta := exposed
	if name := w.l.cfg.Labels.family(exposed.Family); name != exposed.Family {
		renamed := *exposed
		renamed.Family = name
		meta = &renamed
	}
	known := w.metas[meta.Family]
	if known != nil && *known == *meta {
		meta = known
	}
	if w.metas[meta.Family] = meta; known != nil && known != meta {
		if w.newMetas == nil {
			w.newMetas = map[string]*kinglet.Meta{}
		}
		w.newMetas[meta.Family] = meta
	}
	w.lastExposed, w.lastShared = exposed, meta
	return meta
}

// metas are those of the layout's shapes, by family.
func (l *layout) metas() map[string]*kinglet.Meta {
	all := map[string]*kinglet.Meta{}
	for _, p := range l.parts {
		for _, m := range p.shape.Metas() {
			all[m.Family] = m
		}
	}
	return all
}

// metaNow is what the page says now where it said m.
func (w *walk) metaNow(m *kinglet.Meta) *kinglet.Meta {
	if m == nil || w.newMetas == nil {
		return m
	}
	if now, ok := w.newMetas[m.Family]; ok {
		return now
	}
	return m
}

// markNewMetas adds the parts with a series whose metadata changed to those that
// are made anew.
func (w *walk) markNewMetas(dirty []bool) {
	if w.newMetas == nil {
		return
	}
	for n, p := range w.l.parts {
		for i := 0; i < p.len() && !dirty[n]; i++ {
			m := p.shape.Meta(i)
			dirty[n] = w.metaNow(m) != m
		}
	}
}

// compactFamilies forgets families that no line refers to.
func (l *layout) compactFamilies() {
	moved := make([]int32, len(l.families)) // new number + 1
	var kept []familyInfo
	for i := range l.lines {
		if l.lines[i].ref > refFamily {
			continue
		}
		old := refFamily - l.lines[i].ref
		if moved[old] == 0 {
			kept = append(kept, l.families[old])
			moved[old] = int32(len(kept))
		}
		l.lines[i].ref = refFamily - (moved[old] - 1)
	}
	l.families = kept
}
