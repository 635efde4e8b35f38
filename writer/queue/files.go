package queue

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// files is the part of a file system that a log needs. Tests put faults in.
type files interface {
	MkdirAll(dir string) error
	// Open opens a file for reading and writing; create makes it, empty.
	Open(name string, create bool) (file, error)
	Remove(name string) error
	Rename(from, to string) error
	Size(name string) (int64, error)
	ReadDir(dir string) (names []string, err error)
	ReadFile(name string) ([]byte, error)
	WriteFile(name string, data []byte) error
	// Lock takes the lock of the file of that name, which is made if need be, for
	// as long as the file it returns is open. It returns errLocked if another
	// process has it.
	Lock(name string) (file, error)
	// Is reports whether f is still the file of that name.
	Is(f file, name string) bool
}

// file is an open file.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Sync() error
}

var errLocked = errors.New("another process has the lock")

// disk is the real file system.
type disk struct {
	pace *pace // of its writes
}

func (disk) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o755) }

func (d disk) Open(name string, create bool) (file, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(name, flags, 0o644)
	if err != nil && !create && (errors.Is(err, syscall.EROFS) || errors.Is(err, os.ErrPermission)) {
		f, err = os.Open(name) // what waits can still be read
	}
	if err != nil {
		return nil, err
	}
	return d.paced(f), nil
}

func (disk) Remove(name string) error { return os.Remove(name) }

func (disk) Rename(from, to string) error { return os.Rename(from, to) }

func (disk) Size(name string) (int64, error) {
	info, err := os.Stat(name)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (disk) ReadDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

func (disk) ReadFile(name string) ([]byte, error) { return os.ReadFile(name) }

func (disk) WriteFile(name string, data []byte) error {
	if err := os.WriteFile(name+".new", data, 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

func (disk) Lock(name string) (file, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}

func (disk) Is(f file, name string) bool {
	mine, ok := f.(interface{ Stat() (os.FileInfo, error) })
	if !ok {
		return false
	}
	open, err := mine.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(name)
	return err == nil && os.SameFile(open, there)
}
