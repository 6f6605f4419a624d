// Command reference writes the reference page of the language from the schema's
// own comments:
//
//	go generate ./schema
package main

import (
	"log"
	"os"

	"github.com/meshc/meshc/schema"
	"github.com/meshc/meshc/schema/reference"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: reference FILE")
	}
	page, err := reference.Page(schema.FS)
	if err != nil {
		log.Fatalf("reference: %v", err)
	}
	if err := os.WriteFile(os.Args[1], page, 0o644); err != nil {
		log.Fatalf("reference: %v", err)
	}
}
