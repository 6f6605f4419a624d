// Command images makes container images of programs, without a container engine and
// without a registry:
//
//	images -o ARCHIVE [-push REGISTRY] IMAGE...
//
// An IMAGE is NAME:TAG=PROGRAM with the suffixes ",user=UID" and ",libraries", which
// takes the shared libraries along that the program is linked with. The archive is
// an OCI image layout in a tar file, which containerd, Docker and Podman import, and
// kind loads. It prints NAME:TAG@DIGEST for each. The same programs give the same
// bytes.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func main() {
	out := flag.String("o", "", "archive to write")
	push := flag.String("push", "", "registry to push to, with a path: registry.example/team")
	flag.Parse()
	if err := run(*out, *push, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(out, push string, args []string) error {
	if len(args) == 0 || out == "" && push == "" {
		return fmt.Errorf("images -o ARCHIVE [-push REGISTRY] NAME:TAG=PROGRAM[,user=UID][,libraries]…")
	}
	var made []named
	for _, arg := range args {
		spec, err := parse(arg)
		if err != nil {
			return err
		}
		image, err := build(spec)
		if err != nil {
			return fmt.Errorf("%s: %w", spec.reference, err)
		}
		made = append(made, named{spec.reference, image})
	}
	if out != "" {
		if err := archive(out, made); err != nil {
			return err
		}
	}
	for _, image := range made {
		reference := image.reference
		if push != "" {
			reference = strings.TrimSuffix(push, "/") + "/" + filepath.Base(reference)
			target, err := name.ParseReference(reference)
			if err != nil {
				return err
			}
			if err := remote.Write(target, image.Image); err != nil {
				return err
			}
		}
		digest, err := image.Digest()
		if err != nil {
			return err
		}
		fmt.Printf("%s@%s\n", reference, digest)
	}
	return nil
}

// named is an image with its reference, NAME:TAG.
type named struct {
	reference string
	v1.Image
}
