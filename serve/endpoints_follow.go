package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// endpointFiles are the endpoints files in a directory. A file that is as it was when it was read is not read again.
type endpointFiles struct {
	dir   string
	known map[string]fs.FileInfo // by name, of the files whose content is in use and that were settled
}

// unchanged reports whether a file is the same one as before, and has not been written since.
func unchanged(is, was fs.FileInfo) bool {
	return was != nil && os.SameFile(is, was) && is.Size() == was.Size() && is.ModTime().Equal(was.ModTime())
}

// settled reports whether a file was last written so long ago that another write gives it another time.
func settled(is fs.FileInfo, now time.Time) bool { return is.ModTime().Before(now.Add(-fileTick)) }

// fileTick is longer than the time by which that of a file is behind the clock.
const fileTick = 100 * time.Millisecond

// changed reads the files that have changed since it was last called. Wrong are the errors of all files.
func (e *endpointFiles) changed(now time.Time) (files map[string][]fileEndpoint, wrong []string) {
	entries, err := os.ReadDir(e.dir)
	if err != nil {
		return nil, []string{err.Error()}
	}
	files = map[string][]fileEndpoint{}
	before := e.known
	e.known = make(map[string]fs.FileInfo, len(entries))
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") || filepath.Ext(name) != ".json" {
			continue
		}
		path := filepath.Join(e.dir, name)
		info, err := os.Stat(path) // of what a link leads to
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) { // else it went in between
				wrong = append(wrong, fmt.Sprintf("%s: %v", name, err))
			}
			continue
		}
		if unchanged(info, before[name]) {
			e.known[name] = info
			continue
		}
		list, err := readEndpoints(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("%s: %v", name, err))
		default:
			files[name] = list
			if settled(info, now) {
				e.known[name] = info
			}
		}
	}
	return files, wrong
}

// forget has a file read again.
func (e *endpointFiles) forget(name string) { delete(e.known, name) }

// FollowEndpoints reads the endpoints files in a directory, and reads those again that change, until the context
// ends. If a file is not valid or is missing, its last valid content stays in use. It returns an error only if the
// directory cannot be watched.
func (s *Server) FollowEndpoints(ctx context.Context, dir string) error {
	files := &endpointFiles{dir: dir}
	return follow(ctx, "the endpoints", func() []string {
		s.Heard(sourceEndpoints, 0)
		s.loadEndpoints(files)
		return []string{dir}
	})
}

// loadEndpoints takes over the content of the files that have changed, and pushes to the proxies that call a service
// whose file has changed. A file that names what its service does not have is read again: the mesh may have it then.
func (s *Server) loadEndpoints(of *endpointFiles) {
	files, wrong := of.changed(time.Now())
	v := s.live.now()
	for _, name := range sortedKeys(files) {
		if reason := v.misnamed(name, files[name]); reason != "" {
			wrong = append(wrong, name+": "+reason)
			delete(files, name)
			of.forget(name)
		}
	}
	if text := strings.Join(wrong, "; "); s.live.setWrong(text) && text != "" {
		s.log.Error("an endpoints file is wrong; its last good content holds", "reason", text)
	}
	s.proxies.reassign(s.live.setFiles(files))
}
