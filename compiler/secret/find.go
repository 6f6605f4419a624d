package secret

import (
	"bytes"
	"regexp"
	"strings"
)

// kinds are what secrets look like. Each has a text that every one of its kind
// contains, by which most texts are passed over quickly.
var kinds = []struct {
	name, marks string
	form        *regexp.Regexp
}{
	{
		"a private key", "PRIVATE KEY-----",
		regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:.*?-----END [A-Z0-9 ]*PRIVATE KEY-----|.*)`),
	},
	{"an access key of AWS", "A", regexp.MustCompile(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`)},
	{"a token of GitHub", "gh", regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})`)},
	{"a token of GitHub", "github_pat_", regexp.MustCompile(`\bgithub_pat_[A-Za-z0-9_]{22,}`)},
	{"a token of GitLab", "glpat-", regexp.MustCompile(`\bglpat-[A-Za-z0-9_-]{20,}`)},
	{"a token of Slack", "xox", regexp.MustCompile(`\bxox[abeprs]-[A-Za-z0-9-]{10,}`)},
	{"a key of Google's API", "AIza", regexp.MustCompile(`\bAIza[0-9A-Za-z_-]{35}`)},
	{"a key of Stripe", "k_", regexp.MustCompile(`\b[sr]k_(?:live|test)_[0-9A-Za-z]{16,}`)},
	{"a token of npm", "npm_", regexp.MustCompile(`\bnpm_[A-Za-z0-9]{36}`)},
	{"a token of Vault", "hv", regexp.MustCompile(`\bhv[sbr]\.[A-Za-z0-9_-]{24,}`)},
	{"a key of age", "AGE-SECRET-KEY-1", regexp.MustCompile(`\bAGE-SECRET-KEY-1[0-9A-Z]{58}`)},
	{"a private JSON Web Key", `"`, regexp.MustCompile(`\\?"(?:d|k|p|q|dp|dq|qi)\\?"\s*:\s*\\?"[A-Za-z0-9_-]{16,}`)},
	{"a JSON Web Token", "eyJ", regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`)},
	{"a password in a URL", "://", regexp.MustCompile(`\b[a-z][a-z0-9+.-]*://[^\s/@:"]+:[^\s/@"]+@`)},
	{"a password", "=", regexp.MustCompile(`(?i)\b(?:password|passwd|pwd|client_secret|api_?key)=[^\s&"]{6,}`)},
	{"credentials of HTTP", " ", regexp.MustCompile(`\b(?:Bearer|Basic) [A-Za-z0-9+/=._~-]{16,}`)},
}

// shortest is the length of the shortest secret that is looked for.
const shortest = 10

// Find says what kind of secret a text holds, in words; "" for none.
func Find(text string) string {
	if len(text) < shortest {
		return ""
	}
	for _, k := range kinds {
		if strings.Contains(text, k.marks) && k.form.MatchString(text) {
			return k.name
		}
	}
	return ""
}

// Redact is the text with [Redacted] in place of the secrets that it holds.
func Redact(text string) string {
	if Find(text) == "" {
		return text
	}
	for _, k := range kinds {
		text = k.form.ReplaceAllString(text, Redacted)
	}
	return text
}

// Mask is the text of a file with its secrets overwritten, line for line and column
// for column.
func Mask(text []byte) []byte {
	if Find(string(text)) == "" {
		return text
	}
	out := bytes.Clone(text)
	for _, k := range kinds {
		for _, at := range k.form.FindAllIndex(text, -1) {
			for i := at[0]; i < at[1]; i++ {
				if out[i] != '\n' && out[i] != '\t' {
					out[i] = '*'
				}
			}
		}
	}
	return out
}
