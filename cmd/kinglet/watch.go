package main

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// watchInterval is how often the tree is looked at for changes, which are taken
// once they hold still from one look to the next: within twice this of a
// ConfigMap's volume. A look costs a dozen stat calls.
const watchInterval = 2 * time.Second

// fingerprint changes when a file of the tree in dir does. Links are followed,
// so that the swap of a ConfigMap's `..data` counts. What cannot be read counts
// as not there: reading the tree says why.
func fingerprint(dir string) uint64 {
	h := fnv.New64a()
	note := func(path string) {
		if !strings.HasSuffix(path, ".toml") {
			return
		}
		if info, err := os.Stat(path); err == nil {
			fmt.Fprintln(h, path, info.Size(), info.ModTime().UnixNano())
		}
	}
	for _, pattern := range []string{"*.toml", "input.*/*.toml"} {
		paths, _ := filepath.Glob(filepath.Join(escapeGlob(dir), pattern)) // the pattern is sound
		for _, path := range paths {
			note(path)
		}
	}
	return h.Sum64()
}

// escapeGlob makes dir stand for itself in a pattern.
func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
