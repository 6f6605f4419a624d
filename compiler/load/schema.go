package load

import (
	"fmt"
	"io/fs"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/meshc/meshc/schema"
)

// schemaPrefix begins the file names of the embedded schema, so that its
// positions are told from the user's.
const schemaPrefix = "meshc:schema/"

// parseSchema reads the embedded schema. Its syntax may be built in many
// contexts, one after the other.
func parseSchema() ([]*ast.File, error) { return parseSchemaFiles() }

// parseSchemaComments reads the schema with its comments.
func parseSchemaComments() ([]*ast.File, error) { return parseSchemaFiles(parser.ParseComments) }

func parseSchemaFiles(options ...parser.Option) ([]*ast.File, error) {
	names, err := fs.Glob(schema.FS, "*.cue")
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, name := range names {
		data, err := fs.ReadFile(schema.FS, name)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(schemaPrefix+name, data, options...)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// buildSchema is #Repository in that context.
func buildSchema(ctx *cue.Context, files []*ast.File) (cue.Value, error) {
	instance := build.NewContext().NewInstance("schema", nil)
	for _, f := range files {
		if err := instance.AddSyntax(f); err != nil {
			return cue.Value{}, err
		}
	}
	if err := instance.Complete(); err != nil {
		return cue.Value{}, err
	}
	v := ctx.BuildInstance(instance)
	if err := v.Err(); err != nil {
		return cue.Value{}, fmt.Errorf("the embedded schema: %w", err)
	}
	return v.LookupPath(cue.ParsePath(rootDefinition)), nil
}

const rootDefinition = "#Repository"

// fromSchema reports whether a file is part of the schema: the embedded one, or
// the copy that a repository keeps for editors.
func fromSchema(filename string) bool {
	return strings.HasPrefix(filename, schemaPrefix) || strings.HasPrefix(relativeName(filename), schemaCopy)
}

// schemaCopy is where a repository keeps the schema for editors.
const schemaCopy = "cue.mod/pkg/github.com/meshc/meshc/schema/"

// names is a file of that copy with its definitions and nothing that they ask for.
// The embedded schema asks for it all, and says what is wrong in words of its own;
// asked for twice, it would be CUE that finds it first.
func names(file string, data []byte) []byte {
	syntax, err := parser.ParseFile(file, data, parser.ParseComments)
	if err != nil {
		return data
	}
	var b strings.Builder
	b.WriteString("package " + syntax.PackageName() + "\n")
	for _, decl := range syntax.Decls {
		if field, ok := decl.(*ast.Field); ok && field.Constraint == token.ILLEGAL {
			if name, _, err := ast.LabelName(field.Label); err == nil && strings.HasPrefix(name, "#") {
				b.WriteString(name + ": _\n")
			}
		}
	}
	return []byte(b.String())
}
