package local

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// announcementFile, in the directory of a mesh that runs, says whose spec it runs and where meshc serve tells its
// status.
const announcementFile = "running.json"

type announcement struct {
	Spec   string `json:"spec"`
	Server string `json:"server"`
}

// maxAnnouncement bounds what is read of one, in bytes.
const maxAnnouncement = 1 << 16

// announce lets [ServerOf] and [Find] find the mesh. Under delivery static there is no server to find.
func (m *Mesh) announce() error {
	if m.spec == "" {
		return nil
	}
	data, err := json.Marshal(announcement{m.spec, m.ServerAdmin()})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(m.temporary.dir, announcementFile), data, 0o600)
}

// ServerOf is where the meshc serve of a mesh tells its status that this user runs on this machine from the spec of a
// module's directory, IP:PORT; empty where none runs, or several.
func ServerOf(spec string) string {
	var servers []string
	eachRunning(spec, func(a *announcement, _ *os.Root) { servers = append(servers, a.Server) })
	if len(servers) != 1 {
		return ""
	}
	return servers[0]
}

// Find is the mesh that this user runs on this machine from the spec of a module's directory. An error says that there
// is none, or several.
func Find(spec string) (*Running, error) {
	var found []*Running
	var errs []error
	eachRunning(spec, func(_ *announcement, dir *os.Root) {
		r, err := readState(dir)
		found, errs = append(found, r), append(errs, err)
	})
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("no mesh runs of the spec in %s: start it with meshc up", spec)
	case 1:
		return found[0], errs[0]
	}
	return nil, fmt.Errorf("%d meshes run of the spec in %s: end all but one of them", len(found), spec)
}

// eachRunning calls each with the meshes that this user runs of a spec, and their directories.
func eachRunning(spec string, each func(a *announcement, dir *os.Root)) {
	// What cannot be read is no mesh of this user.
	_ = eachTemporary(os.TempDir(), func(root *os.Root, name string) {
		dir, lock := openTemporary(root, name)
		if dir == nil {
			return
		}
		defer dir.Close()
		defer lock.Close()
		if a := announced(dir, lock); a != nil && a.Spec == spec {
			each(a, dir)
		}
	})
}

// announced is what the mesh of a directory has announced; nil when it has ended.
func announced(dir *os.Root, lock *os.File) *announcement {
	if !isHeld(lock) {
		return nil
	}
	file, err := dir.Open(announcementFile)
	if err != nil {
		return nil
	}
	defer file.Close()
	a := &announcement{}
	if json.NewDecoder(io.LimitReader(file, maxAnnouncement)).Decode(a) != nil {
		return nil
	}
	return a
}
