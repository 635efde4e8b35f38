package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// epoch is the time of everything in an image, so that it depends on its
// content alone.
var epoch = time.Unix(0, 0).UTC()

// entry is one file, link or folder of a layer.
type entry struct {
	header tar.Header
	source string // file to read; "" for what has no content
}

// layer is what goes into an image, by path.
type layer map[string]entry

// newLayer collects SRC:DST pairs with their parent folders.
func newLayer(pairs []string) (layer, error) {
	l := layer{}
	for _, pair := range pairs {
		source, target, ok := strings.Cut(pair, ":")
		if !ok {
			return nil, fmt.Errorf("%q is not SRC:DST", pair)
		}
		if err := l.add(source, target); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// add puts source at target: a folder with everything below it, anything else
// by itself.
func (l layer) add(source, target string) error {
	return filepath.WalkDir(source, func(file string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(source, file)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path.Join("/", target, filepath.ToSlash(below)), "/")
		info, err := os.Lstat(file)
		if err == nil && file == source { // named by hand: what a link leads to is meant
			info, err = os.Stat(file)
		}
		if err != nil {
			return err
		}
		for up := path.Dir(name); name != "" && up != "."; up = path.Dir(up) {
			l.folder(up)
		}
		return l.put(name, file, info)
	})
}

func (l layer) put(name, file string, info fs.FileInfo) error {
	switch {
	case name == "": // the root is there
	case info.IsDir():
		l.folder(name)
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(file)
		if err != nil {
			return err
		}
		l[name] = entry{header: tar.Header{Name: name, Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: to}}
	case info.Mode().IsRegular():
		mode := int64(0o644)
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		l[name] = entry{header: tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, Size: info.Size()}, source: file}
	default:
		return fmt.Errorf("%s is neither file, link nor folder", file)
	}
	return nil
}

func (l layer) folder(name string) {
	if _, ok := l[name]; !ok {
		l[name] = entry{header: tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o755}}
	}
}

// tar is the layer's bytes, in order of path.
func (l layer) tar() ([]byte, error) {
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	for _, name := range slices.Sorted(maps.Keys(l)) {
		e := l[name]
		e.header.ModTime, e.header.Format = epoch, tar.FormatPAX
		if err := w.WriteHeader(&e.header); err != nil {
			return nil, err
		}
		if err := copyFile(w, e.source); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

func copyFile(w io.Writer, source string) error {
	if source == "" {
		return nil
	}
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
