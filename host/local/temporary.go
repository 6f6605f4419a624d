package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	// temporaryPrefix begins the names of the directories of meshes that run, and lockFile is in each: it
	// is held by flock(2) for as long as its mesh runs.
	temporaryPrefix = "meshc-mesh-"
	lockFile        = ".running"
)

// temporary is a directory of a mesh that goes with it. It has private keys.
type temporary struct {
	dir  string
	lock *os.File
}

// newTemporary makes a directory in that of the system for such, and removes the directories there of
// meshes that ended without doing so.
func newTemporary() (*temporary, error) {
	parent := os.TempDir()
	if err := removeDead(parent); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, temporaryPrefix)
	if err != nil {
		return nil, err
	}
	t := &temporary{dir: dir}
	// It has its name when it is held: nobody takes it for that of a dead mesh.
	making := filepath.Join(dir, lockFile+".new")
	if t.lock, err = os.OpenFile(making, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err == nil {
		if err = syscall.Flock(int(t.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			err = os.Rename(making, filepath.Join(dir, lockFile))
		}
	}
	if err != nil {
		return nil, errors.Join(err, t.remove())
	}
	return t, nil
}

// remove removes the directory with all that is in it.
func (t *temporary) remove() error {
	err := os.RemoveAll(t.dir)
	if t.lock != nil {
		err = errors.Join(err, t.lock.Close())
	}
	return err
}

// removeDead removes the directories of this user's meshes that have ended.
func removeDead(parent string) error {
	return eachTemporary(parent, removeIfDead)
}

// eachTemporary calls each with the names that directories of meshes have.
func eachTemporary(parent string, each func(root *os.Root, name string)) error {
	root, err := os.OpenRoot(parent)
	if err != nil {
		return err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), temporaryPrefix) {
			each(root, e.Name())
		}
	}
	return nil
}

// removeIfDead leaves what it cannot look at for another time.
func removeIfDead(root *os.Root, name string) {
	dir, lock := openTemporary(root, name)
	if dir == nil {
		return
	}
	defer dir.Close()
	defer lock.Close()
	if !isHeld(lock) {
		_ = root.RemoveAll(name) // another time
	}
}

// openTemporary opens a directory of one of this user's meshes, and the file that its mesh holds; nil for whatever else
// has such a name: links, what belongs to others or is open to them, and what has not the file that is held.
func openTemporary(root *os.Root, name string) (*os.Root, *os.File) {
	before, err := root.Lstat(name)
	if err != nil || before.Mode() != fs.ModeDir|0o700 || !own(before) {
		return nil, nil
	}
	dir, err := root.OpenRoot(name)
	if err != nil {
		return nil, nil
	}
	if now, err := dir.Stat("."); err == nil && os.SameFile(before, now) {
		if info, err := dir.Lstat(lockFile); err == nil && info.Mode().IsRegular() && own(info) {
			lock, err := dir.OpenFile(lockFile, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
			if err == nil {
				return dir, lock
			}
		}
	}
	_ = dir.Close()
	return nil, nil
}

// isHeld reports whether the mesh of a lock file runs.
func isHeld(lock *os.File) bool {
	return syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil
}

func own(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid()
}
