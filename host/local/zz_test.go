package local
import ("testing";"os";"fmt";"sort")
func TestZZ(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": scraperMesh(`scraper: ipRanges: ["127.0.0.0/8"]`)}))
	get(t, m.As("client").Client(), "http://server:8080/items/1?token=secret")
	f,_ := os.Create("/tmp/h/prom-stats.txt")
	for _, id := range []string{"service/client/a","service/server/a","gateway/edge/a","service/prometheus/a"} {
		var l []string
		for n := range scraped(t,m,id,"") { l=append(l,n) }
		sort.Strings(l)
		for _, n := range l { fmt.Fprintln(f,id,n) }
	}
}
