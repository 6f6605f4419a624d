package try

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// Command is how meshc try is asked for the request, in a shell.
func (r *Request) Command() string {
	var out strings.Builder
	from := r.From.Name
	switch r.From.Kind {
	case Outside:
		from = string(Outside)
	case ir.KindIdentity, ir.KindGateway:
		from = string(r.From.Kind) + ":" + from
	}
	port := ""
	if r.Port != 0 {
		port = fmt.Sprintf(":%d", r.Port)
	}
	fmt.Fprintf(&out, "meshc try --from %s ", quoted(from))
	if r.Scheme == tcp || r.Scheme == udp {
		fmt.Fprint(&out, quoted(r.Scheme+"://"+net.JoinHostPort(r.Host, strconv.Itoa(int(r.Port)))))
	} else {
		fmt.Fprintf(&out, "%s %s", r.Method, quoted(fmt.Sprintf("%s://%s%s%s", r.Scheme, bracketed(r.Host), port, r.Path)))
	}
	if r.Authority != "" {
		fmt.Fprintf(&out, " -H %s", quoted("host: "+r.Authority))
	}
	for _, h := range r.Headers {
		fmt.Fprintf(&out, " -H %s", quoted(h.Name+": "+h.Value))
	}
	if r.Token != nil {
		fmt.Fprintf(&out, " --jwt-issuer %s", r.Token.Issuer)
		for _, claim := range r.Token.Names() {
			for _, value := range r.Token.Claims[claim] {
				fmt.Fprintf(&out, " --jwt %s", quoted(claim+"="+value))
			}
		}
	}
	if r.IP.IsValid() {
		fmt.Fprintf(&out, " --ip %s", r.IP)
	}
	if !r.At.IsZero() {
		fmt.Fprintf(&out, " --at %s", r.At.UTC().Format(time.RFC3339))
	}
	return out.String()
}

// quoted is a word of the shell.
func quoted(text string) string {
	if text != "" && !strings.ContainsFunc(text, func(c rune) bool { return !strings.ContainsRune(plain, c) }) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/._-=,@%+"

// bracketed is a host as a URL has it: an address of IPv6 in brackets.
func bracketed(host string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return "[" + host + "]"
	}
	return host
}
