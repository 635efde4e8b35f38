package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"kinglet/conf/unit"
)

// maxFiles bounds how many files of a queue directory are looked at.
const maxFiles = 100_000

// QueueDir looks at the directory in which what waits is kept, which may take up
// to need bytes. It makes one file there, and removes it.
func QueueDir(dir string, need int64) Report {
	r := Report{Of: "queue_dir", URL: dir}
	at, err := existing(dir)
	switch {
	case err != nil:
		r.add("directory", Fail, "%v", err)
		return r
	case at != dir:
		r.add("directory", OK, "is not there yet and will be made, %s is", at)
	default:
		r.add("directory", OK, "is there")
	}
	on, known := diskOf(at)
	if err := tryFile(at); err != nil {
		r.add("writable", Fail, "%s: until that is mended, what waits is in memory only", notWritable(err, on, known))
		return r
	}
	r.add("writable", OK, "a file could be written, brought to disk and removed")
	if !known {
		return r
	}
	r.space(on, usedIn(dir), need)
	if on.inMemory {
		r.add("medium", Warn, "is in memory (tmpfs): what waits there counts as this pod's memory and is gone when the node restarts; want a hostPath or an emptyDir on disk")
	}
	return r
}

// disk is what holds a directory.
type disk struct {
	free     int64 // bytes that we may write
	owner    int   // user id, of the directory
	inMemory bool
}

func (r *Report) space(on disk, used, need int64) {
	size := func(n int64) string { return fmt.Sprint(unit.Bytes(n >> 20 << 20)) }
	if on.free+used < need {
		r.add("space", Warn, "%s free and %s in use, of up to %s that may be wanted: lower queue_max_bytes, or make room; when the disk is full, what waits is in memory only", size(on.free), size(used), size(need))
		return
	}
	r.add("space", OK, "%s free and %s in use, of up to %s that may be wanted", size(on.free), size(used), size(need))
}

// existing is dir, or the nearest directory above it that is there.
func existing(dir string) (string, error) {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case err == nil && info.IsDir():
			if at == filepath.Clean(dir) {
				return dir, nil
			}
			return at, nil
		case err == nil, errors.Is(err, syscall.ENOTDIR):
			return "", fmt.Errorf("%s is no directory: want another queue_dir", at)
		case !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at):
			return "", fmt.Errorf("cannot be looked at (%w): want a directory that kinglet may read and write", err)
		}
	}
}

// tryFile makes, writes and removes a file in dir.
func tryFile(dir string) error {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, 4096))
	return errors.Join(err, f.Sync(), f.Close())
}

func notWritable(err error, on disk, known bool) string {
	switch {
	case errors.Is(err, syscall.EROFS):
		return "it is on a read-only file system; mount a writable volume there"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "the disk is full; make room"
	case errors.Is(err, fs.ErrPermission) && known:
		return fmt.Sprintf("user %d may not write there, it belongs to user %d; chown it, or run kinglet as that user (in a pod, runAsUser or fsGroup)", os.Geteuid(), on.owner)
	}
	return oneLine(err.Error())
}

// usedIn is the size in bytes of what is below dir, as far as it can be seen.
func usedIn(dir string) (bytes int64) {
	files := 0
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what cannot be seen is not counted
		}
		if files++; files > maxFiles {
			return fs.SkipAll
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}
