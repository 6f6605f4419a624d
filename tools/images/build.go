package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// spec says what is in an image.
type spec struct {
	reference string // NAME:TAG
	program   string // on this machine
	user      int64
	libraries bool
}

func parse(arg string) (spec, error) {
	reference, rest, ok := strings.Cut(arg, "=")
	if !ok {
		return spec{}, fmt.Errorf("%q is not NAME:TAG=PROGRAM", arg)
	}
	if _, err := name.NewTag(reference, name.StrictValidation); err != nil {
		return spec{}, err
	}
	words := strings.Split(rest, ",")
	s := spec{reference: reference, program: words[0]}
	for _, word := range words[1:] {
		switch key, value, _ := strings.Cut(word, "="); key {
		case "user":
			id, err := strconv.ParseInt(value, 10, 32)
			if err != nil {
				return spec{}, fmt.Errorf("%s: user %q is not a number", reference, value)
			}
			s.user = id
		case "libraries":
			s.libraries = true
		default:
			return spec{}, fmt.Errorf("%s: %q is neither user=UID nor libraries", reference, word)
		}
	}
	return s, nil
}

// directory is where programs are in an image.
const directory = "/usr/local/bin"

// build makes an image of one layer whose entry point is the program.
func build(s spec) (v1.Image, error) {
	inside := path.Join(directory, filepath.Base(s.program))
	files := map[string]string{inside: s.program}
	if s.libraries {
		libraries, err := linked(s.program)
		if err != nil {
			return nil, err
		}
		maps.Copy(files, libraries)
	}
	content, err := layer(files)
	if err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	})
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Entrypoint = []string{inside}
	config.Config.User = strconv.FormatInt(s.user, 10)
	config.Config.Env = []string{"PATH=" + directory}
	return mutate.ConfigFile(image, config)
}

// layer is a tar file of those files, by their paths in the image.
func layer(files map[string]string) ([]byte, error) {
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	directories := map[string]bool{}
	for _, inside := range slices.Sorted(maps.Keys(files)) {
		for dir := path.Dir(inside); dir != "/"; dir = path.Dir(dir) {
			directories[dir] = true
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(directories)) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir[1:] + "/", Mode: 0o755}); err != nil {
			return nil, err
		}
	}
	for _, inside := range slices.Sorted(maps.Keys(files)) {
		data, err := os.ReadFile(files[inside])
		if err != nil {
			return nil, err
		}
		if err := w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: inside[1:], Mode: 0o755,
			Size: int64(len(data)),
		}); err != nil {
			return nil, err
		}
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
	}
	return buffer.Bytes(), w.Close()
}

// library is a line of ldd: "libc.so.6 => /lib/libc.so.6 (0x…)", or the loader's.
var library = regexp.MustCompile(`(?m)(/\S+) \(0x[0-9a-f]+\)$`)

// linked are the shared libraries of a program, and the loader, as ldd finds them;
// none for one that is linked statically.
func linked(program string) (map[string]string, error) {
	out, err := exec.Command("ldd", program).
		CombinedOutput() // #nosec G204 -- a program that is packed, and was built here
	if err != nil {
		if strings.Contains(string(out), "not a dynamic executable") {
			return nil, nil
		}
		return nil, fmt.Errorf("ldd %s: %w: %s", program, err, bytes.TrimSpace(out))
	}
	files := map[string]string{}
	for _, found := range library.FindAllSubmatch(out, -1) {
		files[string(found[1])] = string(found[1])
	}
	return files, nil
}
