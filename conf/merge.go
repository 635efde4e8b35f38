package conf

import (
	"maps"
	"slices"
	"strings"
)

// merge puts the main files together: tables key by key, arrays of tables one
// after the other. The same key in two files is a fault that names both places.
// Case does not matter in the names of tables; further in it is left to the
// decoder, as it does matter in labels.
func (l *loader) merge(docs []document) (map[string]any, *node) {
	values, index := map[string]any{}, &node{}
	names := map[string]string{} // of the tables: lower case -> as first written
	for _, doc := range docs {
		if index.pos.File == "" {
			index.pos = doc.index.pos
		}
		for _, key := range slices.Sorted(maps.Keys(doc.values)) {
			name := strings.ToLower(key)
			if _, known := names[name]; !known {
				names[name] = key
			}
			l.mergeKey(values, index, names[name], doc.values[key], doc.index.key(key), "")
		}
	}
	return values, index
}

// mergeKey puts one key of a table into a table of that path.
func (l *loader) mergeKey(into map[string]any, intoNode *node, key string, value any, at *node, path string) {
	old, exists := into[key]
	if !exists {
		into[key] = value
		*intoNode.child(key, at.pos) = *at
		return
	}
	known := intoNode.key(key)
	where := join(path, key)
	switch old := old.(type) {
	case map[string]any:
		if table, ok := value.(map[string]any); ok {
			for _, inner := range slices.Sorted(maps.Keys(table)) {
				l.mergeKey(old, known, inner, table[inner], at.key(inner), where)
			}
			return
		}
	case []map[string]any:
		if tables, ok := value.([]map[string]any); ok {
			into[key] = append(slices.Clip(old), tables...)
			known.items = append(slices.Clip(known.items), at.items...)
			return
		}
	}
	l.report.errorf(at.pos, where, "is already set at %s, want it in one file only", known.pos)
}
