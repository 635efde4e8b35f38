package conf

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"kinglet/conf/unit"
	"kinglet/inputs"
	"kinglet/inputs/catalog"
)

// inputPrefix begins the name of every input's folder.
const inputPrefix = "input."

// inputs reads the input.<name> folders, in order of their names.
func (l *loader) inputs(folders []string) []Input {
	var all []Input
	for _, name := range l.options.Inputs {
		if _, ok := catalog.Lookup(name); !ok {
			l.report.warnf(Pos{}, "", "kinglet has no input %q, want one of %s", name, strings.Join(catalog.Names(), ", "))
		}
	}
	for _, folder := range folders {
		name, ok := strings.CutPrefix(folder, inputPrefix)
		if !ok || l.options.Inputs != nil && !slices.Contains(l.options.Inputs, name) {
			continue
		}
		entry, ok := catalog.Lookup(name)
		if !ok {
			l.unknownInput(folder, name)
			continue
		}
		if in := (Input{Name: name, Instances: l.inputFolder(folder, entry)}); len(in.Instances) > 0 {
			all = append(all, in)
		}
	}
	return all
}

// unknownInput says one line of a folder that kinglet has no input for.
func (l *loader) unknownInput(folder, name string) {
	entries, _ := os.ReadDir(filepath.Join(l.dir, folder)) // unreadable is as good as empty: nothing is read from it
	n := 0
	for _, e := range entries {
		if slices.Contains([]string{".toml", ".json", ".yaml", ".yml"}, filepath.Ext(e.Name())) {
			n++
		}
	}
	files := "its 1 file is ignored"
	if n != 1 {
		files = fmt.Sprintf("its %d files are ignored", n)
	}
	hint := ""
	for _, known := range catalog.Names() {
		if strings.HasPrefix(name, known) || nearest(name, []string{known}) != "" {
			hint = fmt.Sprintf(", did you mean input.%s? (any number of files may lie in it)", known)
		}
	}
	l.report.warnf(Pos{File: folder}, "", "kinglet has no such input; %s%s", files, hint)
}

// inputFolder reads the files of one input, in order of their names. A file
// with a fault is left out.
func (l *loader) inputFolder(folder string, entry catalog.Entry) []Instance {
	files, _, err := l.list(folder)
	if err != nil {
		l.report.errorf(Pos{File: folder}, "", "%s", err)
		return nil
	}
	if entry.Single {
		return l.singleInput(folder, files, entry)
	}
	var all []Instance
	var lacking []Instance     // those that neither have an interval nor a file with one
	var standard unit.Duration // of the first file that has one
	for _, file := range files {
		doc, ok := l.readDocument(folder + "/" + file)
		if !ok {
			continue
		}
		interval, instances, ok := l.inputFile(doc, entry)
		if !ok {
			continue
		}
		all = append(all, instances...)
		if interval.Duration <= 0 {
			lacking = append(lacking, instances...)
			continue
		}
		l.setInterval(instances, interval)
		if standard.Duration == 0 {
			standard = interval
		}
	}
	l.setInterval(lacking, standard)
	return all
}

// plugin is what stands above the [[instances]] of a file.
type plugin struct {
	Interval unit.Duration `toml:"interval"`
}

// Validate reports every fault at once, each under its TOML key.
func (p plugin) Validate() error {
	if p.Interval.Duration == 0 {
		return nil // [global]'s
	}
	return inputs.CheckInterval(p.Interval.Duration)
}

// idleKeys are keys that Categraf takes above [[instances]] and applies to
// nothing there.
var idleKeys = []string{
	"labels", "metrics_drop", "metrics_pass", "metrics_name_prefix", "processor_enum", "relabel_configs", "interval_times",
}

// inputFile decodes one file of an input that has instances. It reports false
// if there is a fault in it.
func (l *loader) inputFile(doc document, entry catalog.Entry) (unit.Duration, []Instance, bool) {
	before := l.report.faults
	values := maps.Clone(doc.values)
	var tables any
	at := doc.index
	for key, v := range doc.values {
		if strings.EqualFold(key, "instances") {
			tables, at = v, doc.index.key(key)
			delete(values, key)
		}
	}
	var top plugin
	inside := l.fields.of(reflect.TypeOf(entry.Default()).Elem())
	d := l.newDecoder()
	d.unknown = func(key, path string, at Pos) bool {
		if slices.Contains(idleKeys, strings.ToLower(key)) {
			l.report.warnf(at, path, "has no effect above [[instances]], here as in Categraf, want it in each [[instances]]")
			return true
		}
		_, ok := findField(inside, key)
		if ok {
			l.report.mistake(at, path, "has no effect above [[instances]], want it in [[instances]]")
		}
		return ok
	}
	if d.table(values, doc.index, &top, "") {
		l.validate(top, doc.index, "")
	}
	instances := l.instances(tables, at, entry)
	return top.Interval, instances, l.report.faults == before
}

func (l *loader) instances(v any, at *node, entry catalog.Entry) []Instance {
	if v == nil {
		return nil
	}
	items, ok := itemsOf(v)
	if !ok {
		l.report.errorf(at.pos, "instances", "is %s, want an array of tables: write [[instances]] in place of [instances]", describe(v, true))
		return nil
	}
	var all []Instance
	for i, item := range items {
		n, path := at.item(i), fmt.Sprintf("instances[%d]", i)
		table, ok := item.(map[string]any)
		if !ok {
			l.report.errorf(n.pos, path, "is %s, want a table: write [[instances]]", describe(item, true))
			continue
		}
		all = append(all, Instance{Pos: n.pos, Config: l.instance(table, n, entry, path)})
	}
	return all
}

// instance decodes one table over the input's defaults and validates it.
func (l *loader) instance(table map[string]any, n *node, entry catalog.Entry, path string) any {
	cfg := entry.Default()
	d := l.newDecoder()
	d.unknown = func(key, path string, at Pos) bool {
		why, ok := entry.Unsupported[strings.ToLower(key)]
		if ok {
			l.report.warnf(at, path, "is not used: %s", why)
		}
		return ok
	}
	if !d.table(table, n, cfg, path) || !l.validate(cfg, n, path) {
		return cfg
	}
	if entry.Doubts != nil {
		for _, doubt := range entry.Doubts(cfg) {
			at, key, message := locate(doubt, n, path)
			l.report.mistake(at, key, "%s", l.secrets.hide(message))
		}
	}
	if entry.Idle != nil {
		if why := entry.Idle(cfg); why != "" {
			l.report.notef(n.pos, path, "%s", why)
		}
	}
	return cfg
}

// singleInput reads an input whose configuration is the top of its files; the
// folder alone, without files, starts it with its defaults. Later files are
// read over earlier ones.
func (l *loader) singleInput(folder string, files []string, entry catalog.Entry) []Instance {
	in := Instance{Pos: Pos{File: folder}, Config: entry.Default()}
	for i, file := range files {
		doc, ok := l.readDocument(folder + "/" + file)
		if !ok {
			continue
		}
		trial := reflect.New(reflect.TypeOf(in.Config).Elem())
		trial.Elem().Set(reflect.ValueOf(in.Config).Elem())
		d := l.newDecoder()
		d.unknown = func(key, path string, at Pos) bool {
			why, ok := entry.Unsupported[strings.ToLower(key)]
			if ok {
				l.report.warnf(at, path, "is not used: %s", why)
			}
			return ok
		}
		if !d.table(doc.values, doc.index, trial.Interface(), "") || !l.validate(trial.Interface(), doc.index, "") {
			continue
		}
		in.Config = trial.Interface()
		if i == 0 {
			in.Pos = doc.index.pos
		}
	}
	return []Instance{in}
}

// checkTimes says which instances have too long an interval only by that of
// [global]. Those are cut to a day when running.
func (l *loader) checkTimes(cfg *Config) {
	for _, in := range cfg.Inputs {
		for _, instance := range in.Instances {
			checked, ok := instance.Config.(interface {
				CheckTimes(standard time.Duration) error
			})
			if !ok {
				continue
			}
			if err := checked.CheckTimes(cfg.Global.Interval.Duration); err != nil {
				at, key, message := locate(err, &node{pos: instance.Pos}, "")
				l.report.mistake(at, key, "%s", message)
			}
		}
	}
}

// setInterval gives instances that have no interval of their own one.
func (l *loader) setInterval(instances []Instance, interval unit.Duration) {
	if interval.Duration <= 0 {
		return
	}
	for _, in := range instances {
		cfg := reflect.ValueOf(in.Config).Elem()
		f, ok := findField(l.fields.of(cfg.Type()), "interval")
		if !ok {
			continue
		}
		if own, ok := cfg.FieldByIndex(f.index).Addr().Interface().(*unit.Duration); ok && own.Duration == 0 {
			*own = interval
		}
	}
}
