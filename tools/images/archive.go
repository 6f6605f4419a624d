package main

import (
	"archive/tar"
	"io"
	"io/fs"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/meshc/meshc/compiler/atomicfile"
)

// Annotations by which an image in a layout has a name: OCI's is the tag alone, and
// containerd's the whole reference.
const (
	annotationTag       = "org.opencontainers.image.ref.name"
	annotationReference = "io.containerd.image.name"
)

// archive writes the images as one OCI image layout in a tar file, whole or not at
// all.
func archive(out string, images []named) error {
	dir, err := os.MkdirTemp("", "images-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	index, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	for _, image := range images {
		tag, err := name.NewTag(image.reference)
		if err != nil {
			return err
		}
		if err := index.AppendImage(image.Image, layout.WithAnnotations(map[string]string{
			annotationTag: tag.TagStr(), annotationReference: tag.Name(),
		})); err != nil {
			return err
		}
	}
	return atomicfile.Replace(out, 0o644, func(f *os.File) error { return pack(f, dir) })
}

// pack writes a directory's files as a tar file, in the order of their names.
func pack(out io.Writer, dir string) error {
	w := tar.NewWriter(out)
	files := os.DirFS(dir)
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: name, Mode: 0o644,
			Size: int64(len(data)),
		}); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	return w.Close()
}
