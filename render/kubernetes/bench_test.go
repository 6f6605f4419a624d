package kubernetes

import (
	"fmt"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/certificates"
	"github.com/meshc/meshc/render/manifest/manifesttest"
)

func BenchmarkMember(b *testing.B) {
	m := manifesttest.Mesh(b)
	scope := m.ServiceScope(m.Service("fruit"))
	for b.Loop() {
		if _, err := Member(scope, Proxy{Bootstrap: []byte(bootstrap), Secrets: secretFiles}); err != nil {
			b.Fatal(err)
		}
		if _, err := certificates.Member(scope); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMesh is what every compilation of a mesh of 5,000 services pays.
func BenchmarkMesh(b *testing.B) {
	m := manifesttest.Mesh(b)
	template := m.Service("fruit")
	for i := range 5000 {
		s := *template
		s.Name, s.Namespace = fmt.Sprintf("s%04d", i), fmt.Sprintf("n%02d", i%50)
		m.Services = append(m.Services, &s)
	}
	compiled, err := ir.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(compiled)))
	for b.Loop() {
		if _, err := Mesh(m, compiled); err != nil {
			b.Fatal(err)
		}
	}
}
