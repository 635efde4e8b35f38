package doctor

import (
	"os"
	"syscall"
)

// tmpfsMagic is the type of a file system in memory, as statfs(2) tells it.
const tmpfsMagic = 0x01021994

func diskOf(dir string) (d disk, known bool) {
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) != nil {
		return disk{}, false
	}
	info, err := os.Stat(dir)
	if err != nil {
		return disk{}, false
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		d.owner = int(stat.Uid)
	}
	d.free, d.inMemory = int64(fs.Bavail)*int64(fs.Bsize), int64(fs.Type) == tmpfsMagic //nolint:unconvert // the types differ by platform
	return d, true
}
