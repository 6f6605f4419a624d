package app

import (
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

// AnsweredBy is the header that names the service and the version, if any, that take up the offer of a WebSocket, as
// "SERVICE" or "SERVICE VERSION": such an answer has no report.
const AnsweredBy = "x-answered-by"

// upgraded reports whether the request asked for a WebSocket. Each of its messages
// is sent back until the client goes.
func upgraded(w http.ResponseWriter, r *http.Request, report Report) bool {
	if !strings.EqualFold(r.Header.Get("upgrade"), "websocket") {
		return false
	}
	w.Header().Set(AnsweredBy, strings.TrimSpace(report.Service+" "+report.Version))
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return true // Accept has answered
	}
	defer conn.CloseNow()
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil || conn.Write(r.Context(), kind, message) != nil {
			return true
		}
	}
}
