package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/ir"
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

// plaintext finds plaintext-client: connections to the listener of a strict port end in failed handshakes that no
// caller with a certificate has.
func plaintext(p *patient) (out []candidate) {
	for i := range p.Proxies {
		one := &p.Proxies[i]
		s := p.service(one.Member)
		if s == nil || len(s.Ports) == 0 || len(p.fromAndTo(one.Member, unconnected, broken)) > 0 {
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
		out = append(out, candidate{sure: byElimination, next: "meshc describe " + one.Member.String(), Verdict: Verdict{
			Cause: PlaintextClient, Subject: one.Member.String(), Position: lineOf(s.Ports[0].Pos), Party: ByClient,
			Text: fmt.Sprintf("somebody connects to %s without TLS of the mesh; callers with a certificate are served", s.Name),
		}, evidence: []Evidence{{
			fmt.Sprintf("%d handshakes at the listener of %s failed within %s", n, one.Node, between),
			"meshc config " + s.Name,
		}}})
	}
	return out
}
