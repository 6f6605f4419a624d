package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// certificates finds clock-wrong, by a leaf that is not valid now, and issuer-not-reloaded: handshakes with one member
// fail at its callers or at itself as its certificate is not trusted, though it is valid by its times.
func certificates(p *patient) (out []candidate) {
	for i := range p.Proxies {
		one := &p.Proxies[i]
		for _, leaf := range one.Leaves {
			early, over := p.Now.Before(leaf.From), p.Now.After(leaf.Until)
			if leaf.URI == "" || !early && !over {
				continue
			}
			text := fmt.Sprintf("the certificate of a proxy of %s ended at %s", one.Member.Name,
				leaf.Until.UTC().Format(time.DateTime))
			if early {
				text = fmt.Sprintf("the certificate of a proxy of %s is valid from %s on", one.Member.Name,
					leaf.From.UTC().Format(time.DateTime))
			}
			out = append(out, candidate{
				explains: p.fromAndTo(one.Member, unconnected, noInstance, broken), sure: byState,
				next: "meshc certs inspect", Verdict: Verdict{
					Cause: ClockWrong, Subject: one.Member.String(), Party: ByOutside, Text: text,
				}, evidence: []Evidence{{
					fmt.Sprintf("%s shows a leaf of %s to %s", one.Node, leaf.From.UTC().Format(time.DateTime),
						leaf.Until.UTC().Format(time.DateTime)), "meshc config " + one.Member.Name,
				}},
			})
		}
	}
	if len(out) > 0 {
		return out
	}
	return p.untrusted()
}

// toServer has the handshakes of a proxy with meshc serve, which it does not trust.
const toServer = "meshc.ssl.fail_verify_error"

// untrusted finds issuer-not-reloaded, by the handshakes that fail as a certificate is not trusted: Envoy counts them
// in ssl.fail_verify_error of the end that does not trust.
func (p *patient) untrusted() (out []candidate) {
	if p.Mesh == nil {
		return nil
	}
	failing := map[ir.Ref]uint64{}
	for i := range p.Proxies {
		one := &p.Proxies[i]
		for name, n := range one.Grown {
			if !strings.HasSuffix(name, ".ssl.fail_verify_error") {
				continue
			}
			if cluster, is := strings.CutPrefix(name, "cluster."); is && cluster != toServer {
				for _, s := range p.Mesh.Services {
					if strings.HasPrefix(cluster, strings.ReplaceAll(s.QualifiedName(), ".", "_")+"|") {
						failing[ir.ServiceRef(s.Name)] += n
					}
				}
			} else {
				failing[one.Member] += n
			}
		}
	}
	for member, n := range failing {
		list := p.fromAndTo(member, unconnected, noInstance, broken)
		if len(list) == 0 {
			continue
		}
		out = append(out, candidate{explains: list, sure: byState, next: "meshc certs inspect", Verdict: Verdict{
			Cause: IssuerNotReloaded, Subject: member.String(), Party: ByMesh,
			Text: fmt.Sprintf("handshakes with %s fail: its certificate and the roots of its peers are of different authorities",
				member.Name),
		}, evidence: []Evidence{{
			fmt.Sprintf("%d handshakes failed within %s as a certificate is not trusted", n, between),
			"meshc certs inspect",
		}}})
	}
	return out
}

// unasked are the connections to the callee that its proxy refused before it asked any rule, by cause.
func (e *edge) unasked() map[string]uint64 {
	out := map[string]uint64{}
	if end := e.latest.Server; end != nil {
		for _, f := range end.Failures {
			if f.Flags != ir.DeniedBelowHTTP && slices.Contains(ir.Denials, f.Flags) {
				out[f.Flags] += f.Requests
			}
		}
	}
	return out
}

// plaintext finds plaintext-client: connections to a strict port that its proxy refuses as they have no TLS, or not
// that of the mesh, which no caller with a certificate makes.
func plaintext(p *patient) (out []candidate) {
	known := map[ir.Ref]bool{}
	for _, s := range p.having(denied) {
		callee, refused := p.service(s.edge.callee), s.edge.unasked()
		if callee == nil || len(refused) == 0 || len(p.fromAndTo(s.edge.callee, unconnected, broken)) > 0 {
			continue
		}
		known[s.edge.callee] = true
		position := callee.Pos
		if port := callee.Port(s.edge.PortName); port != nil {
			position = port.Pos
		}
		c := p.plaintextTo(s.edge.callee, position)
		c.explains, c.sure = []symptom{s}, byNumbers
		for _, cause := range slices.Sorted(maps.Keys(refused)) {
			c.evidence = append(c.evidence, Evidence{
				fmt.Sprintf("%d connections to port %d were refused: %s", refused[cause], s.edge.Port, cause), "meshc edges --last 5m",
			})
		}
		out = append(out, c)
	}
	for i := range p.Proxies { // no server tells of it
		one := &p.Proxies[i]
		s := p.service(one.Member)
		if s == nil || known[one.Member] || len(s.Ports) == 0 || len(p.fromAndTo(one.Member, unconnected, broken)) > 0 {
			continue
		}
		n := uint64(0)
		for name, grown := range one.Grown {
			if strings.HasPrefix(name, "listener.") && strings.HasSuffix(name, ".ssl.connection_error") {
				n += grown
			}
		}
		if n < 2 {
			continue
		}
		c := p.plaintextTo(one.Member, s.Ports[0].Pos)
		c.sure = byElimination
		c.evidence = []Evidence{{
			fmt.Sprintf("%d handshakes at the listener of %s failed within %s", n, one.Node, between),
			"meshc config " + s.Name,
		}}
		out = append(out, c)
	}
	return out
}

// plaintextTo is the candidate of a member that somebody connects to without TLS of the mesh.
func (p *patient) plaintextTo(member ir.Ref, at source.Position) candidate {
	return candidate{next: "meshc describe " + member.String(), Verdict: Verdict{
		Cause: PlaintextClient, Subject: member.String(), Position: lineOf(at), Party: ByClient,
		Text: fmt.Sprintf("somebody connects to %s without TLS of the mesh; callers with a certificate are served",
			member.Name),
	}}
}
