package ir

import "strings"

// Images are the container images that manifests name.
type Images struct {
	Meshc string `json:"meshc"`
	Envoy string `json:"envoy"`
}

// In are the same images in another registry, REGISTRY or REGISTRY/PATH: each keeps its
// last word, with its tag and its digest.
func (i Images) In(registry string) Images {
	moved := func(reference string) string {
		repository, digest, _ := strings.Cut(reference, "@")
		if digest != "" {
			digest = "@" + digest
		}
		return registry + "/" + repository[strings.LastIndexByte(repository, '/')+1:] + digest
	}
	return Images{Meshc: moved(i.Meshc), Envoy: moved(i.Envoy)}
}
