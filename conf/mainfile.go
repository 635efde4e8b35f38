package conf

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kinglet/writer"
	"kinglet/writer/heartbeat"
	"kinglet/writer/remotewrite"
)

// main makes the part of a Config that config.toml and its siblings hold.
func (l *loader) main(docs []document) *Config {
	values, index := l.merge(docs)
	tables := l.tables(values, index)
	cfg := &Config{
		Dir:       l.dir,
		Global:    DefaultGlobal(),
		Log:       DefaultLog(),
		Serve:     DefaultServe(),
		WriterOpt: writer.DefaultConfig(),
	}
	l.resolveVariables(tables["global"], writerURLs(tables["writers"].value))
	l.global(tables["global"], &cfg.Global)
	l.section(tables["log"], "log", &cfg.Log)
	l.section(tables["serve"], "serve", &cfg.Serve)
	l.section(tables["writer_opt"], "writer_opt", &cfg.WriterOpt)
	cfg.Writers = l.writers(tables["writers"])
	cfg.Heartbeat = l.heartbeat(tables["heartbeat"])
	l.hintsForHeartbeat(cfg, tables["heartbeat"])
	return cfg
}

// section is the value of one top-level key; the zero section is one that
// nobody wrote.
type section struct {
	value any
	node  *node
}

// tables gives the top-level keys that kinglet has, by their own names, and
// reports the others.
func (l *loader) tables(values map[string]any, index *node) map[string]section {
	own := []string{"global", "log", "serve", "writer_opt", "writers", "heartbeat"}
	found := map[string]section{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		at := index.key(key)
		name := strings.ToLower(key)
		if _, unused := unusedTables[name]; unused {
			l.noteUnusedTable(name, values[key], at)
			continue
		}
		if !slices.Contains(own, name) {
			l.unknownTop(key, own, at.pos)
			continue
		}
		found[name] = section{value: values[key], node: at}
	}
	return found
}

// unknownTop reports a top-level key that kinglet does not have.
func (l *loader) unknownTop(key string, own []string, at Pos) {
	if l.report.full() {
		l.report.mistake(at, key, "is no key of kinglet")
		return
	}
	for _, place := range []struct {
		table string
		value any
	}{
		{"[global]", Global{}}, {"[log]", Log{}}, {"[serve]", Serve{}},
		{"[writer_opt]", writer.Config{}}, {"[[writers]]", remotewrite.Config{}}, {"[heartbeat]", heartbeat.Config{}},
	} {
		if _, ok := findField(l.fields.of(reflect.TypeOf(place.value)), key); ok {
			l.report.mistake(at, key, "has no effect outside a table, want it under %s", place.table)
			return
		}
	}
	if strings.EqualFold(key, "instances") {
		l.report.mistake(at, key, "has no effect in this file, want it in input.<name>/*.toml")
		return
	}
	d := decoder{report: l.report}
	all := make([]field, len(own))
	for i, name := range own {
		all[i].name = name
	}
	d.unknownKey(all, key, join("", key), at)
}

// newDecoder is a decoder of this tree.
func (l *loader) newDecoder() *decoder {
	return &decoder{report: l.report, vars: l.vars, secrets: l.secrets, fields: l.fields}
}

// section decodes a table over *dst and validates it.
func (l *loader) section(s section, name string, dst any) {
	if s.value == nil {
		return
	}
	table, ok := s.value.(map[string]any)
	if !ok {
		l.report.errorf(s.node.pos, name, "is %s, want a table: write [%s]", describe(s.value, false), name)
		return
	}
	d := l.newDecoder()
	unknown, say := l.unusedIn(name, s.node.pos)
	d.unknown = unknown
	ok = d.table(table, s.node, dst, name)
	say()
	if ok {
		l.validate(dst, s.node, name)
	}
}

// global decodes [global], whose hostname is resolved already.
func (l *loader) global(s section, g *Global) {
	standard := g.Interval
	l.section(section{value: withoutZeroInterval(s.value), node: s.node}, "global", g)
	g.Hostname, _ = l.vars.hostname()
	if l.options.Interval > 0 {
		g.Interval.Duration = l.options.Interval
	}
	if g.Interval.Duration <= 0 {
		g.Interval = standard
	}
	if _, ok := precisions[g.Precision]; !ok {
		l.report.mistake(s.node.key("precision").pos, "global.precision", "is %q, want ms, s or m; ms is taken", g.Precision)
		g.Precision = "ms"
	}
	for i, p := range g.Providers {
		if !strings.EqualFold(p, "local") {
			l.report.warnf(s.node.key("providers").item(i).pos, fmt.Sprintf("global.providers[%d]", i),
				"is %q, want local: kinglet reads inputs from files only", p)
		}
	}
}

// withoutZeroInterval leaves out `interval = 0`, which means the default, as
// in Categraf.
func withoutZeroInterval(v any) any {
	table, ok := v.(map[string]any)
	if !ok {
		return v
	}
	table = maps.Clone(table)
	maps.DeleteFunc(table, func(key string, v any) bool {
		return strings.EqualFold(key, "interval") && (v == int64(0) || v == "0")
	})
	return table
}

// resolveVariables makes the variables of the tree. [global] hostname is what
// $hostname means everywhere else; in itself it is the operating system's.
func (l *loader) resolveVariables(global section, endpoints []string) {
	ip := func() (string, error) { return localIP(l.options.LookupEnv, endpoints) }
	system := &variables{env: l.options.LookupEnv, hostname: l.options.Hostname, ip: ip}
	name := l.hostname(global, system)
	l.vars = &variables{
		env:      l.options.LookupEnv,
		hostname: func() (string, error) { return name, nil },
		ip:       ip,
	}
}

// hostname is the value of agent_hostname.
func (l *loader) hostname(global section, system *variables) string {
	at, written := Pos{File: mainFile}, ""
	if table, ok := global.value.(map[string]any); ok {
		for key, v := range table {
			if s, ok := v.(string); ok && strings.EqualFold(key, "hostname") {
				at, written = global.node.key(key).pos, s
			}
		}
	}
	name, err := system.expand(written, expandAll)
	if err != nil {
		l.report.errorf(at, "global.hostname", "%s", err)
		return ""
	}
	if name = strings.TrimSpace(name); name != "" {
		return name
	}
	name, err = system.hostname()
	if err == nil && !utf8.ValidString(name) {
		l.report.errorf(at, "global.hostname", "is empty, and the operating system's name is not UTF-8; want it set")
		return ""
	}
	if err != nil || name == "" {
		l.report.errorf(at, "global.hostname", "is empty, and the operating system does not tell its name; want it set")
		return ""
	}
	if written != "" {
		l.report.warnf(at, "global.hostname", "is empty once its variables are replaced; the operating system's name %q is taken", name)
	}
	return name
}

// writers decodes [[writers]].
func (l *loader) writers(s section) []remotewrite.Config {
	if s.value == nil {
		if l.report.faults > 0 {
			return nil // it may stand in a file that could not be read
		}
		l.report.warnf(Pos{File: mainFile}, "writers", "there is no [[writers]], so what is scraped goes nowhere")
		return nil
	}
	items, ok := itemsOf(s.value)
	if !ok {
		l.report.errorf(s.node.pos, "writers", "is %s, want an array of tables: write [[writers]]", describe(s.value, false))
		return nil
	}
	var all []remotewrite.Config
	names := map[string]Pos{}
	for i, item := range items {
		n, path := s.node.item(i), fmt.Sprintf("writers[%d]", i)
		table, ok := item.(map[string]any)
		if !ok {
			l.report.errorf(n.pos, path, "is %s, want a table: write [[writers]]", describe(item, true))
			continue
		}
		cfg := remotewrite.DefaultConfig()
		if l.newDecoder().table(table, n, &cfg, path) {
			l.validate(&cfg, n, path)
		}
		name := cmp.Or(cfg.Name, strconv.Itoa(i+1))
		if first, twice := names[name]; twice {
			l.report.errorf(n.key("name").pos, path+".name", "%q is the name of the writer at %s too, want another", name, first)
		}
		names[name] = n.pos
		all = append(all, cfg)
	}
	return all
}

// writerURLs are the endpoints as written, to find out which of this host's
// addresses $ip is.
func writerURLs(v any) []string {
	items, _ := itemsOf(v)
	var urls []string
	for _, item := range items {
		table, _ := item.(map[string]any)
		for key, value := range table {
			if s, ok := value.(string); ok && strings.EqualFold(key, "url") {
				urls = append(urls, s)
			}
		}
	}
	return urls
}
