package diag

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
)

//go:embed explain/*.md
var pages embed.FS

// Explain returns the page about a code in Markdown: what the finding means, why it matters, what to do, and usually
// a wrong and a right example. It returns false if there is no such code.
func Explain(code Code) (string, bool) {
	data, err := fs.ReadFile(pages, "explain/"+string(code)+".md")
	return string(data), err == nil
}

// Title returns the title of the page about a code, without the code.
func Title(code Code) string {
	text, _ := Explain(code)
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(line, "# "), string(code)+":"))
}

// Codes returns all codes, sorted.
func Codes() []Code {
	entries, err := fs.ReadDir(pages, "explain")
	if err != nil {
		return nil
	}
	var codes []Code
	for _, e := range entries {
		codes = append(codes, Code(strings.TrimSuffix(e.Name(), ".md")))
	}
	slices.Sort(codes)
	return codes
}
