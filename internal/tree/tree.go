// Package tree writes folders of files, such as configurations, and reads
// recorded ones, for tests. No program imports it.
package tree

import (
	"compress/gzip"
	"io"
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

// Unzip reads a file that gzip has packed, as recorded pages are.
func Unzip(t testing.TB, path string) []byte {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := gzip.NewReader(file)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return text
}
