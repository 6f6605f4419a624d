package diag

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
)

//go:embed explain/*.md
var pages embed.FS

// Explain is the long text of a code: what it means, why the mesh is refused,
// what to do, and a wrong and a right example. It is false for what is no code.
func Explain(code Code) (string, bool) {
	data, err := fs.ReadFile(pages, "explain/"+string(code)+".md")
	return string(data), err == nil
}

// Title is the first line of a code's long text, without the code.
func Title(code Code) string {
	text, _ := Explain(code)
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(line, "# "), string(code)+":"))
}

// Codes are all codes that have a long text, sorted.
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
