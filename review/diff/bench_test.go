package diff

import (
	"fmt"
	"testing"
)

// BenchmarkSamples makes samples for as many patterns as a large gateway has routes.
func BenchmarkSamples(b *testing.B) {
	var patterns, everywhere []string
	for i := range 200 {
		patterns = append(patterns, fmt.Sprintf("/team-%d/service-%d/.*", i%20, i))
	}
	for i := range 100 {
		patterns = append(patterns, fmt.Sprintf("/api/[0-9]+/r%d/.*", i))
	}
	for i := range 20 {
		everywhere = append(everywhere, fmt.Sprintf(".*foo%d.*", i))
	}
	for name, list := range map[string][]string{"routes": patterns, "everywhere": everywhere} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				got, whole := samples(legalPath, list)
				b.ReportMetric(float64(len(got)), "samples")
				_ = whole
			}
		})
	}
}
