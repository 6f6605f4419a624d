package render

import (
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"os"
	"path/filepath"

	"github.com/meshc/meshc/compiler/atomicfile"
	"github.com/meshc/meshc/render/sink"
)

// state is what an earlier run left in an output directory: for each member the
// hash of the Scope that it was rendered from and its files, and the stamps of
// all files.
type state struct {
	Members map[string]rendered
	Stamps  map[string]sink.Stamp
	// SpareStale are the files in which the spare tree differs; see [sink.Spare].
	SpareStale []string
}

type rendered struct {
	Scope [sha256.Size]byte
	Files []string
}

// stateFile is where the state of an output directory is kept; "" for nowhere.
func stateFile(cacheDir, dir string) string {
	if cacheDir == "" {
		return ""
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(absolute); err == nil {
		absolute = real
	}
	name := sha256.Sum256([]byte(absolute))
	return filepath.Join(cacheDir, "outputs", hex.EncodeToString(name[:12]))
}

// readState reads a state. One that cannot be read is empty: everything is
// rendered.
func readState(name string) state {
	var s state
	if data, err := os.ReadFile(name); err == nil && gob.NewDecoder(bytes.NewReader(data)).Decode(&s) != nil {
		return state{}
	}
	return s
}

// writeState keeps a state. A failure is not an error: the next run takes longer.
func writeState(name string, s state) {
	var b bytes.Buffer
	if name != "" && gob.NewEncoder(&b).Encode(s) == nil {
		atomicfile.Keep(name, b.Bytes())
	}
}
