package conf

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// decoder sets structs from decoded TOML values, and says of everything that
// does not fit where it stands. Keys meet fields by their `toml` tag, and case
// does not matter, as in Categraf. Text in fields with an `expand` tag is
// expanded. What is not in the file keeps the value the struct came with.
type decoder struct {
	report *report
	vars   *variables
	// unknown may say more of a key that no field has, and reports true if it
	// did. It may be nil.
	unknown func(key, path string, at Pos) bool
	// secrets are the values that must not show up in messages.
	secrets *secrets
	fields  fieldCache
}

// table sets *dst, a struct, from a table. It reports whether all of it fit.
func (d *decoder) table(v map[string]any, n *node, dst any, path string) bool {
	before := d.report.faults
	d.structure(v, n, reflect.ValueOf(dst).Elem(), path)
	return d.report.faults == before
}

// field is a struct's field as TOML sees it.
type field struct {
	name   string // toml tag
	expand string // expand tag: "all", "braces" or ""
	index  []int
}

// fieldsOf lists the fields of a struct, those of embedded structs included.
func fieldsOf(t reflect.Type) []field {
	var all []field
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		if name == "" || name == "-" || !f.IsExported() {
			continue
		}
		all = append(all, field{name: name, expand: f.Tag.Get("expand"), index: f.Index})
	}
	return all
}

// fieldCache keeps what fieldsOf found. The nil one keeps nothing.
type fieldCache map[reflect.Type][]field

func (c fieldCache) of(t reflect.Type) []field {
	all, ok := c[t]
	if !ok {
		all = fieldsOf(t)
		if c != nil {
			c[t] = all
		}
	}
	return all
}

// findField is the field of a key: the one of that name, else one whose name
// differs in case only.
func findField(all []field, key string) (field, bool) {
	i := slices.IndexFunc(all, func(f field) bool { return f.name == key })
	if i < 0 {
		i = slices.IndexFunc(all, func(f field) bool { return strings.EqualFold(f.name, key) })
	}
	if i < 0 {
		return field{}, false
	}
	return all[i], true
}

func (d *decoder) structure(v map[string]any, n *node, dst reflect.Value, path string) {
	all := d.fields.of(dst.Type())
	from := map[string]string{} // field name -> the key that set it
	for _, key := range slices.Sorted(maps.Keys(v)) {
		at := n.key(key)
		where := join(path, key)
		f, ok := findField(all, key)
		if !ok {
			d.unknownKey(all, key, where, at.pos)
			continue
		}
		if other, twice := from[f.name]; twice {
			d.report.errorf(at.pos, where, "is the same key as %s at %s (case does not matter), want it once",
				other, n.key(other).pos)
			continue
		}
		from[f.name] = key
		d.value(v[key], at, dst.FieldByIndex(f.index), where, f.expand)
	}
}

// unknownKey reports a key that kinglet does not have.
func (d *decoder) unknownKey(all []field, key, path string, at Pos) {
	if d.unknown != nil && d.unknown(key, path, at) {
		return
	}
	if d.report.full() {
		d.report.mistake(at, path, "is no key of kinglet")
		return
	}
	names := make([]string, len(all))
	for i, f := range all {
		names[i] = f.name
	}
	if near := nearest(key, names); near != "" {
		d.report.mistake(at, path, "is no key of kinglet and has no effect, did you mean %s?", near)
		return
	}
	d.report.mistake(at, path, "is no key of kinglet and has no effect, want it removed")
}

var (
	tomlUnmarshaler = reflect.TypeFor[toml.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (d *decoder) value(v any, n *node, dst reflect.Value, path, expand string) {
	if dst.Kind() == reflect.Pointer {
		target := reflect.New(dst.Type().Elem())
		d.value(v, n, target.Elem(), path, expand)
		dst.Set(target)
		return
	}
	if dst.CanAddr() && d.unmarshals(v, n, dst, path) {
		return
	}
	switch dst.Kind() {
	case reflect.Struct:
		if table, ok := v.(map[string]any); ok {
			d.structure(table, n, dst, path)
			return
		}
	case reflect.Map:
		if table, ok := v.(map[string]any); ok {
			d.mapping(table, n, dst, path, expand)
			return
		}
	case reflect.Slice:
		if items, ok := itemsOf(v); ok {
			d.slice(items, n, dst, path, expand)
			return
		}
	case reflect.String:
		if s, ok := v.(string); ok {
			dst.SetString(d.text(s, n, path, expand))
			return
		}
	default:
		if d.scalar(v, n, dst, path) {
			return
		}
	}
	d.typeError(v, n, dst.Type(), path)
}

// unmarshals lets a type that reads TOML or text itself do so.
func (d *decoder) unmarshals(v any, n *node, dst reflect.Value, path string) bool {
	var err error
	switch p := dst.Addr(); {
	case p.Type().Implements(tomlUnmarshaler):
		err = p.Interface().(toml.Unmarshaler).UnmarshalTOML(v)
	case p.Type().Implements(textUnmarshaler):
		s, ok := v.(string)
		if !ok {
			d.typeError(v, n, reflect.TypeFor[string](), path)
			return true
		}
		err = p.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s))
	default:
		return false
	}
	if err != nil {
		d.report.errorf(n.pos, path, "%s", oneLine(err.Error()))
	}
	return true
}

func (d *decoder) mapping(table map[string]any, n *node, dst reflect.Value, path, expand string) {
	t := dst.Type()
	m := reflect.MakeMapWithSize(t, len(table))
	for _, key := range slices.Sorted(maps.Keys(table)) {
		item := reflect.New(t.Elem()).Elem()
		d.value(table[key], n.key(key), item, join(path, key), expand)
		m.SetMapIndex(reflect.ValueOf(key).Convert(t.Key()), item)
	}
	dst.Set(m)
}

func (d *decoder) slice(items []any, n *node, dst reflect.Value, path, expand string) {
	s := reflect.MakeSlice(dst.Type(), len(items), len(items))
	for i, item := range items {
		d.value(item, n.item(i), s.Index(i), fmt.Sprintf("%s[%d]", path, i), expand)
	}
	dst.Set(s)
}

// scalar sets a boolean or a number. It reports false if the type is wrong; a
// number out of range it reports itself.
func (d *decoder) scalar(v any, n *node, dst reflect.Value, path string) bool {
	switch dst.Kind() {
	case reflect.Bool:
		b, ok := v.(bool)
		if ok {
			dst.SetBool(b)
		}
		return ok
	case reflect.Float32, reflect.Float64:
		switch v := v.(type) {
		case float64:
			dst.SetFloat(v)
			return true
		case int64:
			dst.SetFloat(float64(v))
			return true
		}
		return false
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, ok := v.(int64)
		if ok && dst.OverflowInt(i) {
			d.report.errorf(n.pos, path, "%d is out of range, want a smaller number", i)
		} else if ok {
			dst.SetInt(i)
		}
		return ok
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		i, ok := v.(int64)
		if ok && (i < 0 || dst.OverflowUint(uint64(i))) {
			d.report.errorf(n.pos, path, "%d is out of range, want 0 or more", i)
		} else if ok {
			dst.SetUint(uint64(i))
		}
		return ok
	case reflect.Interface:
		if dst.NumMethod() == 0 {
			dst.Set(reflect.ValueOf(v))
			return true
		}
	}
	return false
}

// text expands a string and notes it if it is a secret.
func (d *decoder) text(s string, n *node, path, expand string) string {
	if expand != "" {
		expanded, err := d.vars.expand(s, expand)
		if err != nil {
			d.report.errorf(n.pos, path, "%s", err)
			return s
		}
		s = expanded
	}
	d.secrets.note(path, s)
	return s
}

// typeError reports a value of the wrong type.
func (d *decoder) typeError(v any, n *node, want reflect.Type, path string) {
	message := "is " + describe(v, isSecret(path)) + ", want " + wanted(want)
	switch {
	case want.Kind() == reflect.String && isScalar(v):
		message += ` in quotes`
	case want.Kind() == reflect.Slice && want.Elem().Kind() == reflect.Struct:
		message += fmt.Sprintf(": write [[%s]]", headerOf(path))
	}
	d.report.errorf(n.pos, path, "%s", message)
}

// headerOf is the path as a table header has it: without positions.
func headerOf(path string) string {
	var b strings.Builder
	depth := 0
	for _, r := range path {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth--
		case depth == 0:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// wanted says in words what values a type takes.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		switch t.Elem().Kind() {
		case reflect.String:
			return `an array of texts (["...", "..."])`
		case reflect.Struct, reflect.Map:
			return "an array of tables"
		}
		return "an array ([...])"
	case reflect.Map:
		if t.Elem().Kind() == reflect.String {
			return `a table of texts ({ name = "value" })`
		}
		return "a table"
	case reflect.Struct:
		return "a table"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// describe says what a value is, and shows it if it is short and no secret.
func describe(v any, secret bool) string {
	switch v := v.(type) {
	case string:
		if secret || len(v) > 40 || strings.Contains(v, "@") { // an address may hold a password
			return "a text"
		}
		return "the text " + strconv.Quote(v)
	case int64:
		if secret {
			return "a number"
		}
		return "the number " + strconv.FormatInt(v, 10)
	case float64:
		if secret {
			return "a number"
		}
		return "the number " + strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "an array of tables"
	case []any:
		return "an array"
	}
	return "a date or time"
}

func isScalar(v any) bool {
	switch v.(type) {
	case map[string]any, []map[string]any, []any:
		return false
	}
	return true
}

// itemsOf is an array of either of the two forms that the TOML library gives.
func itemsOf(v any) ([]any, bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case []map[string]any:
		items := make([]any, len(v))
		for i := range v {
			items[i] = v[i]
		}
		return items, true
	}
	return nil, false
}

// join appends a key to a path, in quotes if it would not be clear without.
func join(path, key string) string {
	bare := key != "" && !strings.ContainsFunc(key, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	})
	if !bare {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// oneLine keeps a message on its line.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
