package app

import (
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

// upgraded reports whether the request asked for a WebSocket. Each of its messages
// is sent back until the client goes.
func upgraded(w http.ResponseWriter, r *http.Request) bool {
	if !strings.EqualFold(r.Header.Get("upgrade"), "websocket") {
		return false
	}
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
