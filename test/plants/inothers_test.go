//go:build e2e

package plants

import (
	"testing"
	"time"
)

// inOthers are applications, clients, and what the mesh only uses.
func inOthers() []plant {
	return []plant{
		{
			"slow-application", func(_ *testing.T, f *field) string {
				f.actors["stock/a"].does(delays["stock"]+300*time.Millisecond, 0)
				return ""
			},
			failing("service cart", "service stock", 504, ""),
		},
		{
			"application-errors", func(_ *testing.T, f *field) string {
				of := []string{"stock", "vault", "quota", "account"}[f.rand.IntN(4)]
				f.actors[of+"/a"].does(delays[of], 500)
				return of
			},
			failing("", "service TARGET", 500, ""),
		},
		{
			"client-errors", func(_ *testing.T, f *field) string {
				f.load.add(flow{perSecond: 20, url: "http://stock:7071/orders/nonsense", by: "batch"})
				return ""
			},
			failing("service batch", "service stock", 400, ""),
		},
		{
			"jwks-unreachable", func(t *testing.T, f *field) string {
				f.actors["keys/a"].stop()
				f.load.issuer.rotate(t, "second")
				return ""
			},
			failing("service web", "service account", 401, ""),
		},
		{
			"authorization-unreachable", func(_ *testing.T, f *field) string {
				f.actors["guard/a"].stop()
				return ""
			},
			failing("service web", "service vault", 403, ""),
		},
		{
			"nothing", func(*testing.T, *field) string { return "" },
			func(*numbers, *numbers, string) string { return "" },
		},
	}
}
