package load

import (
	"fmt"
	"io/fs"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/parser"

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
	return strings.HasPrefix(filename, schemaPrefix) || strings.HasPrefix(below(filename), "cue.mod/pkg/github.com/meshc/meshc/schema/")
}
