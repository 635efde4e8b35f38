package conf

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// unusedTables are tables of Categraf's config.toml, and of the files beside
// it, that kinglet reads past, each with what the user should know. on is what
// to say if the table says `enable = true`.
var unusedTables = map[string]struct{ off, on string }{
	"logs": {
		off: "is not used: kinglet collects no logs",
		on:  "is not used: kinglet collects no logs, so none are sent; keep Categraf for them",
	},
	"traces": {
		off: "is not used: kinglet collects no traces",
		on:  "is not used: kinglet collects no traces, so none are sent; keep Categraf for them",
	},
	"ibex": {
		off: "is not used: kinglet never runs commands for a server",
		on:  "is enabled here but not used: kinglet never runs commands for a server, so tasks of ibex will not run on this host",
	},
	"http": {
		off: "is not used: kinglet receives no pushed samples, and the table is not enabled",
		on:  "is enabled here but not used: kinglet does not listen for pushed samples, so clients that push to this address will fail; keep Categraf for them",
	},
	"prometheus": {
		off: "is not used: kinglet has no embedded Prometheus, and the table is not enabled",
		on:  "is enabled here but not used: kinglet has no embedded Prometheus, so NOTHING of its scrape file is scraped; write the targets as urls in input.prometheus/*.toml, or keep Prometheus for them",
	},
	"http_provider": {
		off: "is not used: kinglet reads inputs from files only",
		on:  "is not used: kinglet reads inputs from files only",
	},
}

// unusedKeys are keys of tables that kinglet does use, with why it does not
// need them.
var unusedKeys = map[string]map[string]string{
	"global": {
		"concurrency":          "every target has its own loop",
		"print_configs":        "a dump of the configuration would show secrets",
		"disable_usage_report": "kinglet reports usage to nobody",
	},
}

// noteUnusedTable says one line of a table that only Categraf has.
func (l *loader) noteUnusedTable(name string, v any, n *node) {
	say := unusedTables[name]
	table, _ := v.(map[string]any)
	enabled := false
	for key, value := range table {
		if b, ok := value.(bool); ok && strings.EqualFold(key, "enable") {
			enabled = b
		}
	}
	if !enabled {
		l.report.notef(n.pos, name, "%s", say.off)
		return
	}
	message := say.on
	if file, ok := table["scrape_config_file"].(string); ok && name == "prometheus" && len(file) < 200 {
		message = strings.Replace(message, "its scrape file", fmt.Sprintf("%q", file), 1)
	}
	l.report.warnf(n.pos, name, "%s", message)
}

// unusedIn gives a decoder the keys of a table that only Categraf has. They
// become one line for the table, said by the function's second result.
func (l *loader) unusedIn(table string, at Pos) (unknown func(key, path string, at Pos) bool, say func()) {
	found := map[string]string{} // key -> why
	unknown = func(key, _ string, _ Pos) bool {
		why, ok := unusedKeys[table][strings.ToLower(key)]
		if ok {
			found[key] = why
		}
		return ok
	}
	say = func() {
		if len(found) == 0 {
			return
		}
		whys := slices.Compact(slices.Sorted(maps.Values(found)))
		keys := slices.Sorted(maps.Keys(found))
		l.report.notef(at, table, "%s not used: %s", plural(keys, "is", "are"), strings.Join(whys, "; "))
	}
	return unknown, say
}

// plural is a list with its verb: "a is", "a, b are".
func plural(names []string, one, many string) string {
	if len(names) == 1 {
		return names[0] + " " + one
	}
	return strings.Join(names, ", ") + " " + many
}
