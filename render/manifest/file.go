// Package manifest is what renderers return: files with their place below the
// output directory. The renderers place nothing themselves.
package manifest

// File is one file of the output.
type File struct {
	// Path is relative to the output directory, with forward slashes.
	Path string
	Data []byte
}
