package serve

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve/heard"
)

// An operator whom Kubernetes knows shows the token again after tapByTokenTime. Until then a line is written now and
// then, so that it is found out when nobody reads them.
const (
	tapByTokenTime = 15 * time.Minute
	tapWriteTime   = 10 * time.Second
	maxToken       = 16 << 10 // bytes
)

// tapByToken is the tap of an operator who shows a token of Kubernetes: a POST with the JSON of a [TapRequest], which
// is answered by lines with the JSON of a [TapEvent] each. The last one may have an Error.
func (s *Server) tapByToken(w http.ResponseWriter, r *http.Request) {
	who, err := s.operatorByToken(r)
	if err != nil {
		s.metrics.tapsRefused.Inc()
		s.refuseToken(w, r, "a tap was refused", err)
		return
	}
	s.tapOverHTTP(w, r, who)
}

// tapOverHTTP is the tap of somebody who proved who he is.
func (s *Server) tapOverHTTP(w http.ResponseWriter, r *http.Request, who *operator) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTapRequest))
	if err != nil {
		http.Error(w, "this is not a valid request for a tap", http.StatusBadRequest)
		return
	}
	request, err := parseTap(data)
	control := http.NewResponseController(w)
	if err == nil {
		err = control.SetReadDeadline(time.Time{}) // that was the request; what follows is its end
	}
	send := func(e *TapEvent) error {
		line, err := json.Marshal(e)
		if err == nil {
			err = control.SetWriteDeadline(time.Now().Add(tapWriteTime))
		}
		if err == nil {
			_, err = w.Write(append(line, '\n'))
		}
		return errors.Join(err, control.Flush())
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(r.Context(), tapByTokenTime)
		defer cancel()
		err = s.taps.follow(ctx, who.name, who.may, request, send)
	}
	if err != nil && status.Code(err) != codes.Unknown { // else nobody reads it
		_ = send(&TapEvent{Error: status.Convert(err).Message()}) // as above
	}
}

// refuseToken answers a request whose token is not good. Its sender is told no reason; the log has it.
func (s *Server) refuseToken(w http.ResponseWriter, r *http.Request, what string, reason error) {
	s.log.Warn(what, "from", r.RemoteAddr, "reason", reason)
	http.Error(w, errToken.Error(), http.StatusUnauthorized)
}

// operatorByToken is who sends a request, as Kubernetes knows him by its token.
func (s *Server) operatorByToken(r *http.Request) (*operator, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	mesh := s.live.now().mesh
	switch {
	case s.config.TokenReview == nil:
		return nil, errors.New("this server takes no tokens (meshc serve --kubernetes-api)")
	case mesh == nil:
		return nil, errors.New("no mesh is loaded yet")
	case !ok || token == "" || len(token) > maxToken:
		return nil, errors.New("there is no token")
	}
	name, groups, err := s.config.TokenReview.User(r.Context(), token, mesh.ServerIdentity())
	if err != nil {
		return nil, err
	}
	user := heard.Line(name, 256)
	return &operator{user, func(list *ir.Operators) bool { return list.AllowUser(user, groups) }}, nil
}
