package conf

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestIndexKnowsTheLineOfEveryKey(t *testing.T) {
	const text = `# comment = "not a key"
top = 1
"quoted \"key\"" = [
  1, # one
  [2, 3],
  """
]
still a string""",
  4,
]
a.b."c.d" = 'x' # dotted

[table] # a comment with a ]
  key = { x = 1, y.z = [ { deep = true } ] }
  long = '''
[not_a_table]
ends in quotes'''''
  escaped = "\"]"

[[list]]
n = 1
  [list.sub]
  m = 2
[[list]]
[[list.inner]]
k = 1979-05-27 07:32:00
[[list.inner]]
k = 2
[list.sub]
m = 3
`
	root, _, err := buildIndex("f", text)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path []any
		line int
	}{
		{[]any{"top"}, 2},
		{[]any{`quoted "key"`}, 3},
		{[]any{`quoted "key"`, 0}, 4},
		{[]any{`quoted "key"`, 1, 1}, 5},
		{[]any{`quoted "key"`, 2}, 6},
		{[]any{`quoted "key"`, 3}, 9},
		{[]any{"a", "b", "c.d"}, 11},
		{[]any{"table"}, 13},
		{[]any{"table", "key", "y", "z", 0, "deep"}, 14},
		{[]any{"table", "escaped"}, 18},
		{[]any{"list", 0, "n"}, 21},
		{[]any{"list", 0, "sub", "m"}, 23},
		{[]any{"list", 1, "inner", 0, "k"}, 26},
		{[]any{"list", 1, "inner", 1}, 27},
		{[]any{"list", 1, "sub", "m"}, 30},
	} {
		n := root
		for _, step := range tt.path {
			before := n
			switch step := step.(type) {
			case string:
				n = n.key(step)
			case int:
				n = n.item(step)
			}
			if n == before {
				t.Errorf("%v: %v is not there", tt.path, step)
			}
		}
		if n.pos.Line != tt.line {
			t.Errorf("%v is in line %d, want %d", tt.path, n.pos.Line, tt.line)
		}
	}
	if n := root.find("list[1].inner[1].k"); n.pos.Line != 28 {
		t.Errorf("find says line %d, want 28", n.pos.Line)
	}
}

func TestIndexRefusesWhatIsTooDeep(t *testing.T) {
	for name, text := range map[string]string{
		"arrays": "a = 1\nb = " + strings.Repeat("[", 1_000_000),
		"tables": "a = 1\nb = " + strings.Repeat("{a=", 1_000_000),
		"key":    "a = 1\n" + strings.Repeat("a.", 1_000_000) + "a = 1",
		"header": "a = 1\n[" + strings.Repeat("a.", 1_000_000) + "a]",
	} {
		if _, line, err := buildIndex("f", text); !errors.Is(err, errTooDeep) || line != 2 {
			t.Errorf("%s: line %d, %v", name, line, err)
		}
	}
}

// FuzzIndex: whatever the TOML library takes, the index knows every key and
// item of it, with a line that holds the key.
func FuzzIndex(f *testing.F) {
	files, _ := filepath.Glob("testdata/*/*.toml")
	more, _ := filepath.Glob("testdata/*/*/*.toml")
	for _, file := range append(files, more...) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("a = \"\"\"\n\"\"\"\"\"\nb = ''''''\n[ x . \"y\" . 'z' ]\nq = { a = [ 1, 2, ], }\r\n[[x.l]]\n[x.l.m]\n")
	f.Add("\"\\u00e9\" = 1\n\"\" = 2\n[\"\"]\na.\"b\".c = inf\nd = 1979-05-27 07:32:00Z # c")
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.TrimPrefix(text, "\ufeff")
		root, _, err := buildIndex("f", text)
		if err != nil || invalidUTF8(text) >= 0 {
			return
		}
		var values map[string]any
		if _, err := toml.Decode(text, &values); err != nil || strings.HasPrefix(text, "\ufeff") {
			return
		}
		compareIndex(t, values, root, strings.Split(text, "\n"))
	})
}

func compareIndex(t *testing.T, v any, n *node, lines []string) {
	t.Helper()
	if n.pos.Line < 1 || n.pos.Line > len(lines) {
		t.Fatalf("line %d of %d", n.pos.Line, len(lines))
	}
	if items, ok := itemsOf(v); ok {
		if len(items) != len(n.items) {
			t.Fatalf("%d items, indexed %d", len(items), len(n.items))
		}
		for i := range items {
			compareIndex(t, items[i], n.items[i], lines)
		}
		return
	}
	table, ok := v.(map[string]any)
	if !ok {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		k := n.keys[key]
		if k == nil {
			t.Fatalf("key %q is not indexed", key)
		}
		if join("", key) == key && !strings.Contains(lines[k.pos.Line-1], key) && !strings.Contains(lines[k.pos.Line-1], `\`) {
			t.Fatalf("key %q is not in line %d", key, k.pos.Line)
		}
		compareIndex(t, table[key], k, lines)
	}
}
