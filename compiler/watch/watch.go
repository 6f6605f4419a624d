// Package watch tells when the files of a mesh repository have changed.
package watch

import (
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quiet is how long nothing must happen before a change counts as finished: an
// editor or a checkout touches files more than once.
const quiet = 50 * time.Millisecond

// Watcher watches directories. Those that are made below them are watched too.
type Watcher struct {
	notify  *fsnotify.Watcher
	changes chan struct{}
	done    sync.WaitGroup
}

// New watches nothing yet; see [Watcher.Set].
func New() (*Watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &Watcher{notify: notify, changes: make(chan struct{}, 1)}
	w.done.Go(w.run)
	return w, nil
}

// Set makes these the directories that are watched. One that is gone is left
// out. Since is when the reading of them began: what was touched in a directory
// between then and the beginning of its watch counts as a change.
func (w *Watcher) Set(directories []string, since time.Time) error {
	before := w.notify.WatchList()
	for _, name := range before {
		if !slices.Contains(directories, name) {
			_ = w.notify.Remove(name) // it is gone by itself when the directory is
		}
	}
	missed := false
	for _, name := range directories {
		// Also those that are watched: one may have taken the place of another.
		err := w.notify.Add(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		missed = missed || !slices.Contains(before, name) && touched(name, since)
	}
	if missed {
		w.signal()
	}
	return nil
}

// grain is how far a file's time may be behind the clock (Linux: a tick).
const grain = 20 * time.Millisecond

// touched reports whether the directory or a file in it was changed since.
func touched(directory string, since time.Time) bool {
	since = since.Add(-grain)
	if info, err := os.Stat(directory); err != nil || info.ModTime().After(since) {
		return err == nil
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		info, err := e.Info()
		return err == nil && info.ModTime().After(since)
	})
}

// Changes has a value when something changed since the last one was taken.
func (w *Watcher) Changes() <-chan struct{} { return w.changes }

// Close ends the watching.
func (w *Watcher) Close() error {
	err := w.notify.Close()
	w.done.Wait()
	return err
}

func (w *Watcher) run() {
	settled := time.NewTimer(quiet)
	settled.Stop()
	for {
		select {
		case e, open := <-w.notify.Events:
			if !open {
				return
			}
			if e.Op == fsnotify.Chmod {
				continue
			}
			if info, err := os.Stat(e.Name); e.Has(fsnotify.Create) && err == nil && info.IsDir() {
				_ = w.notify.Add(e.Name) // it may be gone again
			}
			settled.Reset(quiet)
		case _, open := <-w.notify.Errors:
			if !open {
				return
			}
			settled.Reset(quiet) // events were lost: something may have changed
		case <-settled.C:
			w.signal()
		}
	}
}

func (w *Watcher) signal() {
	select {
	case w.changes <- struct{}{}:
	default: // nobody has taken the last one yet
	}
}
