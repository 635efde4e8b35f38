package queue

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"sync"
)

// faulty is a file system with faults: fault is asked before each operation and
// may refuse it. A write that is refused is done in part.
type faulty struct {
	files
	mu    sync.Mutex
	fault func(op, name string) error
	ops   int
}

func (f *faulty) ask(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops++
	if f.fault == nil {
		return nil
	}
	return f.fault(op, name)
}

func (f *faulty) set(fault func(op, name string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *faulty) MkdirAll(dir string) error {
	if err := f.ask("mkdir", dir); err != nil {
		return err
	}
	return f.files.MkdirAll(dir)
}

func (f *faulty) Open(name string, create bool) (file, error) {
	op := "open"
	if create {
		op = "create"
	}
	if err := f.ask(op, name); err != nil {
		return nil, err
	}
	opened, err := f.files.Open(name, create)
	if err != nil {
		return nil, err
	}
	return &faultyFile{opened, f, name}, nil
}

func (f *faulty) Remove(name string) error {
	if err := f.ask("remove", name); err != nil {
		return err
	}
	return f.files.Remove(name)
}

func (f *faulty) Rename(from, to string) error {
	if err := f.ask("rename", to); err != nil {
		return err
	}
	return f.files.Rename(from, to)
}

func (f *faulty) Size(name string) (int64, error) {
	if err := f.ask("size", name); err != nil {
		return 0, err
	}
	return f.files.Size(name)
}

func (f *faulty) ReadDir(dir string) ([]string, error) {
	if err := f.ask("list", dir); err != nil {
		return nil, err
	}
	return f.files.ReadDir(dir)
}

func (f *faulty) ReadFile(name string) ([]byte, error) {
	if err := f.ask("read file", name); err != nil {
		return nil, err
	}
	return f.files.ReadFile(name)
}

func (f *faulty) WriteFile(name string, data []byte) error {
	if err := f.ask("write file", name); err != nil {
		return err
	}
	return f.files.WriteFile(name, data)
}

func (f *faulty) Lock(name string) (file, error) {
	if err := f.ask("lock", name); err != nil {
		return nil, err
	}
	return f.files.Lock(name)
}

func (f *faulty) Is(opened file, name string) bool {
	if mine, ok := opened.(*faultyFile); ok {
		opened = mine.file
	}
	return f.files.Is(opened, name)
}

type faultyFile struct {
	file
	fs   *faulty
	name string
}

func (f *faultyFile) ReadAt(p []byte, at int64) (int, error) {
	if err := f.fs.ask("read", f.name); err != nil {
		return 0, err
	}
	return f.file.ReadAt(p, at)
}

func (f *faultyFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.fs.ask("write", f.name); err != nil {
		n, partErr := f.file.WriteAt(p[:len(p)/2], at)
		if partErr != nil {
			return n, partErr
		}
		return n, err
	}
	return f.file.WriteAt(p, at)
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.fs.ask("truncate", f.name); err != nil {
		return err
	}
	return f.file.Truncate(size)
}

func (f *faultyFile) Sync() error {
	if err := f.fs.ask("sync", f.name); err != nil {
		return err
	}
	return f.file.Sync()
}

// ram is a file system in memory. A lock lasts until it is closed, or until crash.
type ram struct {
	mu    sync.Mutex
	files map[string]*ramFile
	locks map[string]*ramLock
}

func newRAM() *ram { return &ram{files: map[string]*ramFile{}, locks: map[string]*ramLock{}} }

// crash ends all locks, as the end of a process does.
func (r *ram) crash() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.locks)
}

func (r *ram) MkdirAll(string) error { return nil }

func (r *ram) Open(name string, create bool) (file, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.files[name]
	switch {
	case create:
		f = &ramFile{}
		r.files[name] = f
	case f == nil:
		return nil, fs.ErrNotExist
	}
	return f, nil
}

func (r *ram) Remove(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.files[name] == nil {
		return fs.ErrNotExist
	}
	delete(r.files, name)
	return nil
}

func (r *ram) Rename(from, to string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.files[from] == nil {
		return fs.ErrNotExist
	}
	r.files[to] = r.files[from]
	delete(r.files, from)
	return nil
}

func (r *ram) Size(name string) (int64, error) {
	data, err := r.ReadFile(name)
	return int64(len(data)), err
}

func (r *ram) ReadDir(dir string) (names []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range r.files {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	return names, nil
}

func (r *ram) ReadFile(name string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.files[name]
	if f == nil {
		return nil, fs.ErrNotExist
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.data), nil
}

func (r *ram) WriteFile(name string, data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[name] = &ramFile{data: slices.Clone(data)}
	return nil
}

func (r *ram) Lock(name string) (file, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.locks[name] != nil {
		return nil, errLocked
	}
	lock := &ramLock{fs: r, name: name}
	r.locks[name] = lock
	return lock, nil
}

func (r *ram) Is(opened file, name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if lock, ok := opened.(*ramLock); ok {
		return r.locks[name] == lock
	}
	f, ok := opened.(*ramFile)
	return ok && r.files[name] == f
}

type ramLock struct {
	nowhereFile
	fs   *ram
	name string
}

func (l *ramLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	if l.fs.locks[l.name] == l {
		delete(l.fs.locks, l.name)
	}
	return nil
}

type ramFile struct {
	mu   sync.Mutex
	data []byte
}

func (f *ramFile) ReadAt(p []byte, at int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *ramFile) WriteAt(p []byte, at int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if end := int(at) + len(p); end > len(f.data) {
		f.data = append(f.data, make([]byte, end-len(f.data))...)
	}
	return copy(f.data[at:], p), nil
}

func (f *ramFile) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.data = append(f.data, make([]byte, max(0, int(size)-len(f.data)))...)[:size]
	return nil
}

func (f *ramFile) Sync() error  { return nil }
func (f *ramFile) Close() error { return nil }

// nowhere is a file system that takes everything and keeps its size alone.
type nowhere struct{}

func (nowhere) MkdirAll(string) error            { return nil }
func (nowhere) Open(string, bool) (file, error)  { return nowhereFile{}, nil }
func (nowhere) Remove(string) error              { return nil }
func (nowhere) Rename(string, string) error      { return nil }
func (nowhere) Size(string) (int64, error)       { return 0, nil }
func (nowhere) ReadDir(string) ([]string, error) { return nil, nil }
func (nowhere) ReadFile(string) ([]byte, error)  { return nil, nil }
func (nowhere) WriteFile(string, []byte) error   { return nil }
func (nowhere) Lock(string) (file, error)        { return nowhereFile{}, nil }
func (nowhere) Is(file, string) bool             { return true }

type nowhereFile struct{}

func (nowhereFile) ReadAt([]byte, int64) (int, error)      { return 0, io.EOF }
func (nowhereFile) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (nowhereFile) Close() error                           { return nil }
func (nowhereFile) Truncate(int64) error                   { return nil }
func (nowhereFile) Sync() error                            { return nil }
