// Package tree writes folders of files, such as configurations, for tests. No
// program imports it.
package tree

import (
	"os"
	"path/filepath"
	"testing"
)

// Make writes files to a new folder, which ends with the test, and returns the
// folder.
func Make(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	Write(t, dir, files)
	return dir
}

// Write writes files, named by their path with / below dir, over what is there.
// Whoever watches the folder sees a file as it was or as it is to be, and
// nothing between.
func Write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
}
