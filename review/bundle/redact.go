package bundle

import (
	"bytes"
	"encoding/json"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/secret"
)

// redacted is a file without secrets, and how many values were taken out. What is JSON stays JSON, and so does each
// line of it in a log. A spec keeps its lines and columns, and a mesh its fields: the compiler lets no secret into
// them, so that only what looks like one is taken out.
func redacted(name string, data []byte) ([]byte, int) {
	r := &redaction{
		spec: strings.HasPrefix(name, "spec/") || strings.HasPrefix(path.Base(name), "mesh"),
		log:  !strings.HasSuffix(name, ".json"),
	}
	if strings.HasPrefix(name, "spec/") {
		clean := secret.Mask(data)
		if !bytes.Equal(clean, data) {
			r.count++
		}
		return clean, r.count
	}
	if strings.HasSuffix(name, ".json") {
		if out, ok := r.document(data); ok {
			return out, r.count
		}
	}
	// A key has lines of its own, so they are looked at together first.
	lines := strings.SplitAfter(r.secrets(string(data)), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "{") {
			if out, ok := r.document([]byte(line)); ok {
				lines[i] = string(out)
				continue
			}
		}
		lines[i] = r.line(line)
	}
	return []byte(strings.Join(lines, "")), r.count
}

// redaction counts what it takes out.
type redaction struct {
	count int
	// spec says that names do not say what is secret, and log that paths may have a query string, as in a line of text.
	spec, log bool
}

// document is a document of JSON; ok is false if it is none.
func (r *redaction) document(data []byte) (out []byte, ok bool) {
	in := json.NewDecoder(bytes.NewReader(data))
	in.UseNumber()
	var value any
	if in.Decode(&value) != nil {
		return nil, false
	}
	if _, err := in.Token(); err != io.EOF {
		return nil, false
	}
	var b bytes.Buffer
	write := json.NewEncoder(&b)
	write.SetEscapeHTML(false)
	if write.Encode(r.value(value)) != nil {
		return nil, false
	}
	return b.Bytes(), true
}

func (r *redaction) value(v any) any {
	switch v := v.(type) {
	case string:
		return r.line(r.secrets(v))
	case []any:
		for i := range v {
			v[i] = r.value(v[i])
		}
	case map[string]any:
		r.object(v)
	}
	return v
}

// object takes out the values of names that say what is secret or whose: {"authorization": "…"}, and
// {"name": "authorization", "value": "…"}, as headers and variables of the environment are written.
func (r *redaction) object(v map[string]any) {
	named := ""
	for _, key := range []string{"name", "key", "header", "header_name"} {
		if text, ok := v[key].(string); ok {
			named = text
		}
	}
	for key, of := range v {
		switch {
		case !r.spec && (private(key) || key == "value" && private(named)) && isText(of):
			v[key] = r.out()
		case strings.EqualFold(key, "env"):
			v[key] = r.environment(of)
		default:
			v[key] = r.value(of)
		}
	}
}

// isText reports whether a value may hold a secret itself: what is configured by name alone does not.
func isText(v any) bool {
	switch v := v.(type) {
	case string:
		return v != ""
	case []any:
		return len(v) > 0 && !slices.ContainsFunc(v, func(one any) bool { return !isText(one) })
	}
	return false
}

// environment takes out the values of all variables.
func (r *redaction) environment(of any) any {
	list, ok := of.([]any)
	if !ok {
		if variables, ok := of.(map[string]any); ok {
			for name := range variables {
				variables[name] = r.out()
			}
			return variables
		}
		return r.value(of)
	}
	for i, one := range list {
		switch variable := one.(type) {
		case map[string]any:
			if _, written := variable["value"]; written {
				variable["value"] = r.out()
			}
			list[i] = r.value(variable)
		case string: // NAME=VALUE
			name, _, _ := strings.Cut(variable, "=")
			list[i] = name + "=" + r.out()
		}
	}
	return list
}

func (r *redaction) out() string {
	r.count++
	return secret.Redacted
}

// secrets takes out what looks like a secret.
func (r *redaction) secrets(text string) string {
	clean := secret.Redact(text)
	if clean != text {
		r.count++
	}
	return clean
}

// privateNames are parts of names of headers, fields and variables whose values are no secrets, but say who somebody
// is or may hold one, as [secret.Plain] writes them.
var privateNames = []string{
	"urlquery", "xforwardedfor", "xrealip", "xuser", "xemail", "xauth", "useremail", "enduserid", "inlinestring",
	"inlinebytes",
}

// private reports whether a name is of what nobody else may see.
func private(name string) bool {
	plain := secret.Plain(name)
	return secret.Named(name) ||
		slices.ContainsFunc(privateNames, func(part string) bool { return strings.Contains(plain, part) })
}

var (
	// headerLine is a header, as text: up to the end of the line or of a quoted text.
	headerLine = regexp.MustCompile(`(?i)\b([a-z][a-z0-9_.-]{2,60})(["']?\s*:\s*)` +
		`("[^"\r\n]*"|'[^'\r\n]*'|[^"'\r\n][^\r\n]*)`)
	// variable is NAME=VALUE.
	variable = regexp.MustCompile(`\b([A-Za-z_][A-Za-z0-9_.-]{2,60})=("[^"\n]*"|'[^'\n]*'|[^\s,;&"']+)`)
	// query is the query string of a URL or a path.
	query = regexp.MustCompile(`(/[^\s"'?]*)\?[^\s"'<>]+`)
)

// line takes headers, variables and query strings out of a line of text.
func (r *redaction) line(text string) string {
	if r.spec || !strings.ContainsAny(text, ":=?") {
		return text
	}
	sensitive := func(of *regexp.Regexp, keep func([]string) string) {
		text = of.ReplaceAllStringFunc(text, func(found string) string {
			parts := of.FindStringSubmatch(found)
			if strings.Contains(parts[len(parts)-1], secret.Redacted) || !private(parts[1]) {
				return found
			}
			return keep(parts) + r.out()
		})
	}
	if r.log {
		text = query.ReplaceAllStringFunc(text, func(found string) string {
			before, _, _ := strings.Cut(found, "?")
			return before + "?" + r.out()
		})
	}
	sensitive(variable, func(parts []string) string { return parts[1] + "=" })
	sensitive(headerLine, func(parts []string) string { return parts[1] + parts[2] })
	return text
}
