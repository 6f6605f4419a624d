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
	return Images{Meshc: moved(i.Meshc, registry), Envoy: moved(i.Envoy, registry)}
}

func moved(reference, registry string) string {
	repository, digest, _ := strings.Cut(reference, "@")
	if digest != "" {
		digest = "@" + digest
	}
	return registry + "/" + repository[strings.LastIndexByte(repository, '/')+1:] + digest
}

// MoveImages names all images in another registry, those of single members too.
func (m *Mesh) MoveImages(registry string) {
	m.Images = m.Images.In(registry)
	move := func(p *Proxy) {
		if p.Image != "" {
			p.Image = moved(p.Image, registry)
		}
	}
	for _, s := range m.Services {
		move(&s.Proxy)
	}
	for _, g := range m.Gateways {
		move(&g.Proxy)
	}
}
