package local

import (
	"encoding/json"
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

// announce lets [ServerOf] find the mesh. Under delivery static there is no server to find.
func (m *Mesh) announce() error {
	server := m.ServerAdmin()
	if m.spec == "" || server == "" {
		return nil
	}
	data, err := json.Marshal(announcement{m.spec, server})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(m.temporary.dir, announcementFile), data, 0o600)
}

// ServerOf is where the meshc serve of a mesh tells its status that this user runs on this machine from the spec of a
// module's directory, IP:PORT; empty where none runs, or several.
func ServerOf(spec string) string {
	var servers []string
	// What cannot be read is no mesh of this user.
	_ = eachTemporary(os.TempDir(), func(root *os.Root, name string) {
		if a := announced(root, name); a != nil && a.Spec == spec {
			servers = append(servers, a.Server)
		}
	})
	if len(servers) != 1 {
		return ""
	}
	return servers[0]
}

// announced is what the mesh of a directory has announced; nil when it has ended, or is not this user's.
func announced(root *os.Root, name string) *announcement {
	dir, lock := openTemporary(root, name)
	if dir == nil {
		return nil
	}
	defer dir.Close()
	defer lock.Close()
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
