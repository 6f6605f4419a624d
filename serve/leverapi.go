package serve

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve/heard"
	"github.com/meshc/meshc/serve/lever"
)

// LeverMethod is the gRPC method, at the address for proxies, by which an operator pulls levers: it takes a StringValue
// with the JSON of a [LeverRequest], and answers with that of a [LeverAnswer].
const LeverMethod = "/meshc.Levers/Change"

// LeverRequest is what an operator wants: a lever in force, or ended before its time. With neither he asks what is in
// force.
type LeverRequest struct {
	// Pull is the lever; From and To name whom it is about, as the operator writes it.
	Pull     *lever.Lever `json:"pull,omitempty"`
	From, To string       `json:",omitempty"`
	// DryRun says what Pull would change, and changes nothing.
	DryRun bool `json:"dryRun,omitempty"`
	// End is the id of a lever.
	End string `json:"end,omitempty"`
}

// LeverAnswer is what has come of it.
type LeverAnswer struct {
	// Effects are what a lever changes, and Permanent is the CUE that would say the same for good.
	Effects   []string `json:"effects,omitempty"`
	Permanent string   `json:"permanent,omitempty"`
	// Proxies is how many connected proxies are concerned; Behind are those of them that have not taken the change in
	// time, or cannot be told: an older bootstrap, or gRPC without a proxy.
	Proxies int      `json:"proxies"`
	Behind  []string `json:"behind,omitempty"`
	// Levers are those in force.
	Levers []lever.Lever `json:"levers"`
}

// errOperator is that somebody is not one.
type errOperator struct{ error }

// lever does what an operator wants.
func (s *Server) lever(ctx context.Context, who *operator, r *LeverRequest) (*LeverAnswer, error) {
	m := s.live.now().mesh
	if m == nil {
		return nil, errors.New("no mesh is loaded yet")
	}
	if !who.may(m.Operators) {
		s.metrics.leversRefused.Inc()
		s.log.Warn("a lever was refused: not an operator", "operator", who.name)
		return nil, errOperator{&notOperator{who.name, m.Name}}
	}
	out := &LeverAnswer{}
	switch {
	case r.End != "":
		ended, err := s.levers.release(r.End)
		if err != nil {
			return nil, err
		}
		s.log.Info("a lever is ended", "operator", who.name, "id", ended.ID, "lever", ended.String())
		s.leverTaken(ctx, out, m, &ended)
	case r.Pull != nil:
		one, err := r.resolve(m, who.name)
		if err != nil {
			return nil, err
		}
		out.Effects, out.Permanent = one.Effects(m), one.Permanent(m)
		if r.DryRun {
			out.Proxies = len(s.proxies.levered(m, one))
			break
		}
		if err := s.levers.pull(*one); err != nil {
			return nil, err
		}
		s.metrics.leversPulled.Inc()
		s.log.Info("a lever is pulled", "operator", one.By, "id", one.ID, "lever", one.String(), "reason", one.Reason,
			"until", one.Until)
		s.leverTaken(ctx, out, m, one)
	}
	out.Levers = s.levers.inForce()
	return out, nil
}

// resolve is the lever that is to be pulled, with the names that the mesh has.
func (r *LeverRequest) resolve(m *ir.Mesh, operator string) (*lever.Lever, error) {
	one, now := *r.Pull, time.Now()
	one.By, one.At, one.Until = operator, now.UTC().Truncate(time.Second), one.Until.UTC()
	var err error
	if r.From != "" {
		one.From, err = lever.Caller(m, r.From)
	}
	if r.To != "" && err == nil {
		one.To, err = lever.Callee(m, r.To)
	}
	if err == nil {
		err = one.Check(m, now)
	}
	return &one, err
}

// leverTaken waits for the proxies that a lever concerns, and says which have not taken it.
func (s *Server) leverTaken(ctx context.Context, out *LeverAnswer, m *ir.Mesh, one *lever.Lever) {
	var nodes map[string]bool
	if one.Kind == lever.Open {
		nodes = s.openTaken(ctx, m, one)
	} else {
		nodes = s.levers.wait(ctx, one)
	}
	for _, id := range s.proxies.levered(m, one) {
		if !nodes[id] {
			nodes[id] = false
		}
	}
	out.Proxies = len(nodes)
	for id, taken := range nodes {
		if !taken {
			out.Behind = append(out.Behind, id)
		}
	}
	slices.Sort(out.Behind)
}

// levered are the connected proxies that a lever concerns, those too that have no stream for it.
func (p *proxies) levered(m *ir.Mesh, one *lever.Lever) (ids []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, n := range p.nodes {
		if one.Concerns(m, n.memberKind, n.member, n.identity) {
			ids = append(ids, id)
		}
	}
	return ids
}

// registerLevers adds the method for operators who have an identity of the mesh.
func (s *Server) registerLevers(g *grpc.Server) {
	change := func(_ any, ctx context.Context, decode func(any) error, through grpc.UnaryServerInterceptor,
	) (any, error) {
		var asked wrapperspb.StringValue
		if err := decode(&asked); err != nil {
			return nil, err
		}
		return through(ctx, &asked, &grpc.UnaryServerInfo{}, func(ctx context.Context, _ any) (any, error) {
			identity, err := callerIdentity(ctx)
			if err != nil {
				return nil, status.Errorf(codes.Unauthenticated, "the client's certificate has no SPIFFE identity: %v", err)
			}
			who := &operator{identity.String(), func(o *ir.Operators) bool { return o.AllowIdentity(identity) }}
			data, err := s.leverJSON(ctx, who, []byte(asked.GetValue()))
			switch {
			case errors.As(err, &errOperator{}):
				return nil, status.Error(codes.PermissionDenied, err.Error())
			case err != nil:
				return nil, status.Error(codes.InvalidArgument, err.Error())
			}
			return wrapperspb.String(string(data)), nil
		})
	}
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: "meshc.Levers",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Change", Handler: change}},
	}, nil)
}

// leverJSON is [Server.lever] with what goes over the wire.
func (s *Server) leverJSON(ctx context.Context, who *operator, asked []byte) ([]byte, error) {
	r := &LeverRequest{}
	if len(asked) > maxTapRequest || json.Unmarshal(asked, r) != nil {
		return nil, errors.New("this is not a valid request for a lever")
	}
	out, err := s.lever(ctx, who, r)
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

// leverByToken is [Server.lever] for an operator who shows a token of Kubernetes: a POST with the JSON of a
// [LeverRequest].
func (s *Server) leverByToken(w http.ResponseWriter, r *http.Request) {
	who, err := s.operatorByToken(r)
	if err != nil {
		s.metrics.leversRefused.Inc()
		s.refuseToken(w, r, "a lever was refused", err)
		return
	}
	s.leverOverHTTP(w, r, who)
}

// leverOverHTTP is [Server.lever] for somebody who proved who he is.
func (s *Server) leverOverHTTP(w http.ResponseWriter, r *http.Request, who *operator) {
	asked, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTapRequest))
	var data []byte
	if err == nil {
		data, err = s.leverJSON(r.Context(), who, asked)
	}
	switch {
	case errors.As(err, &errOperator{}):
		http.Error(w, heard.Line(err.Error(), 500), http.StatusForbidden)
	case err != nil:
		http.Error(w, heard.Line(err.Error(), 500), http.StatusBadRequest)
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(data) // a client that goes away does not concern meshc
	}
}
