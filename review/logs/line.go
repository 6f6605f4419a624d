// Package logs reads lines of access logs and explains them: what the response flags and details mean, which route and
// rule of the spec decided, and what compiler/try says of such a request now.
package logs

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// Line is what a line of an access log says of a request or a connection. What it does not say is empty.
type Line struct {
	Time string `json:"time,omitempty"`
	// Kind is "http.client" and its like, of lines that meshc's proxies write.
	Kind string `json:"kind,omitempty"`
	// Caller is a SPIFFE ID, Callee NAME.NAMESPACE or an external's name.
	Caller string `json:"caller,omitempty"`
	Callee string `json:"callee,omitempty"`
	Port   string `json:"port,omitempty"`
	// Version is the one that a route chose, and Client the address of the caller, or of the client that a gateway was
	// told of.
	Version string `json:"version,omitempty"`
	Client  string `json:"client,omitempty"`
	// ID is that of the request, the same at each of its proxies.
	ID string `json:"id,omitempty"`
	// Trace is the id of the trace, where the request is one of a trace.
	Trace string `json:"trace,omitempty"`
	// Route, Rule and Source are as of the time when it was logged; Rule has its place in the spec behind its name.
	Route  string `json:"route,omitempty"`
	Rule   string `json:"rule,omitempty"`
	Source string `json:"source,omitempty"`
	Method string `json:"method,omitempty"`
	Host   string `json:"host,omitempty"`
	// Path is without its query, which may hold secrets and is not shown.
	Path     string   `json:"path,omitempty"`
	Query    string   `json:"-"`
	Status   int      `json:"status,omitempty"`
	GRPC     int      `json:"grpcStatus,omitempty"` // 0 for none, or OK
	Flags    []string `json:"flags,omitempty"`
	Details  string   `json:"details,omitempty"`
	Failure  string   `json:"failure,omitempty"`
	Attempts int      `json:"attempts,omitempty"`
	// Denied is set for a connection below HTTP that the rules of the callee closed.
	Denied bool `json:"denied,omitempty"`
}

// Refused reports whether a proxy refused the request for what it is: by a rule, for its token or its form, or as no
// route takes it. Requests that failed on their way are not among them.
func (l *Line) Refused() bool {
	for _, cause := range []string{"rbac_access_denied", "jwt_authn_access_denied", "route_not_found"} {
		if strings.HasPrefix(l.Details, cause) {
			return true
		}
	}
	return l.Status >= 400 && l.Details == "direct_response" || l.Status == 400 && l.Details != "via_upstream"
}

// Parse reads a line that meshc's proxies write, as JSON or text, or one of Envoy's default format. Others are not
// known.
func Parse(text string) (line *Line, known bool) {
	text = strings.TrimSpace(text)
	var fields map[string]string
	switch {
	case strings.HasSuffix(text, "}") && strings.Contains(text, "{"):
		fields = ofJSON(text[strings.IndexByte(text, '{'):])
	case strings.Contains(text, " kind="):
		fields = ofText(withoutPrefix(text))
	default:
		fields = ofEnvoy(text)
	}
	if fields == nil {
		return nil, false
	}
	line = &Line{
		Time: fields["time"], Kind: fields["kind"], Caller: fields["caller"], Callee: fields["callee"],
		Port: fields["server.port"], Route: fields["http.route"], Rule: fields["rule"], Source: fields["source"],
		Method: fields["http.request.method"], Host: fields["server.address"], Details: fields["details"],
		Failure: fields["failure"],
	}
	line.Path, line.Query, _ = strings.Cut(fields["url.path"], "?")
	line.Version, line.Client, line.ID = fields["service.version"], fields["client.address"], fields["request.id"]
	line.Trace = fields["trace.id"]
	line.Denied = fields["error.type"] == "Denied"
	line.Status, _ = strconv.Atoi(fields["http.response.status_code"]) // 0 for none
	line.GRPC, _ = strconv.Atoi(fields["rpc.grpc.status_code"])
	line.Attempts, _ = strconv.Atoi(fields["attempts"])
	if f := fields["flags"]; f != "" {
		line.Flags = strings.Split(f, ",")
	}
	return line, true
}

// withoutPrefix is a line of text without what a container runtime or kubectl puts before it: the time stands just
// before the kind.
func withoutPrefix(text string) string {
	before, _, _ := strings.Cut(text, " kind=")
	return text[strings.LastIndexByte(before, ' ')+1:]
}

// Malformed reports whether the request was refused for its form, or was none.
func (l *Line) Malformed() bool {
	for _, cause := range []string{"path_normalization_failed", "http1.", "http2.", "http3."} {
		if strings.HasPrefix(l.Details, cause) && l.Details != "http2.remote_reset" {
			return true
		}
	}
	return strings.HasPrefix(l.Kind, "http.") && l.Method == ""
}

// ofJSON are the fields of a line of JSON; nil for one that no proxy of a mesh wrote.
func ofJSON(text string) map[string]string {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var read map[string]any
	if decoder.Decode(&read) != nil || read["kind"] == nil {
		return nil
	}
	out := map[string]string{}
	for name, value := range read {
		switch v := value.(type) {
		case string:
			out[name] = said(v)
		case json.Number:
			out[name] = v.String()
		}
	}
	return out
}

// pair is NAME=VALUE or NAME="VALUE" of a line of text.
var pair = regexp.MustCompile(`^([a-z_.]+)=("[^"]*"|[^ ]*) ?`)

// ofText are the fields of a line of text, whose last one goes to the end.
func ofText(text string) map[string]string {
	time, rest, _ := strings.Cut(text, " ")
	out := map[string]string{"time": time}
	for rest != "" {
		if path, last := strings.CutPrefix(rest, "url.path="); last {
			out["url.path"] = said(path)
			break
		}
		found := pair.FindStringSubmatch(rest)
		if found == nil {
			return nil
		}
		out[found[1]] = said(strings.Trim(found[2], `"`))
		rest = rest[len(found[0]):]
	}
	return out
}

// said is a value; Envoy writes "-" for none.
func said(value string) string {
	if value == "-" {
		return ""
	}
	return value
}

// usual is Envoy's default format.
var usual = regexp.MustCompile(`^\[([^\]]*)\] "(\S+) (\S+) [^"]*" (\d+) (\S+) .*"([^"]*)" "[^"]*"$`)

func ofEnvoy(text string) map[string]string {
	f := usual.FindStringSubmatch(text)
	if f == nil {
		return nil
	}
	return map[string]string{
		"time": f[1], "http.request.method": said(f[2]), "url.path": said(f[3]), "http.response.status_code": f[4],
		"flags": said(f[5]), "server.address": said(f[6]),
	}
}
