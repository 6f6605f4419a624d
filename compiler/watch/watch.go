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

// New watches the directories until Close.
func New(directories []string) (*Watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &Watcher{notify: notify, changes: make(chan struct{}, 1)}
	if err := w.Set(directories); err != nil {
		return nil, errors.Join(err, notify.Close())
	}
	w.done.Go(w.run)
	return w, nil
}

// Set makes these the directories that are watched. One that is gone is left
// out.
func (w *Watcher) Set(directories []string) error {
	for _, name := range w.notify.WatchList() {
		if !slices.Contains(directories, name) {
			_ = w.notify.Remove(name) // it is gone by itself when the directory is
		}
	}
	for _, name := range directories {
		if err := w.notify.Add(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
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
			select {
			case w.changes <- struct{}{}:
			default: // nobody has taken the last one yet
			}
		}
	}
}
