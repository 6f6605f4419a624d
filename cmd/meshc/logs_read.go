package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// maxLogLine bounds a line of a log, in bytes.
const maxLogLine = 1 << 20

// readLogs hands on the lines of files, or of the standard input where none is named, or by "-".
func readLogs(cmd *cobra.Command, files []string, add func(string)) error {
	if len(files) == 0 {
		files = []string{"-"}
	}
	for _, name := range files {
		var err error
		if name == "-" {
			err = readLines(cmd.Context(), cmd.InOrStdin(), add)
		} else {
			err = readFile(cmd.Context(), name, add)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func readFile(ctx context.Context, name string, add func(string)) error {
	file, err := os.Open(name) // #nosec G304 -- a user names it
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", name, errors.Unwrap(err))
	}
	defer file.Close()
	if err := readLines(ctx, file, add); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// readLines hands on the lines of a log, of which too long ones are empty, until the context ends: also while it waits
// for a terminal or a pipe.
func readLines(ctx context.Context, in io.Reader, add func(string)) error {
	read := make(chan error, 1)
	lines := make(chan string, 64)
	go func() {
		defer close(lines)
		read <- scanLines(ctx, bufio.NewReaderSize(in, maxLogLine), lines)
	}()
	for {
		select {
		case line, more := <-lines:
			if !more {
				return <-read
			}
			add(line)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func scanLines(ctx context.Context, in *bufio.Reader, to chan<- string) error {
	for tooLong := false; ; {
		text, prefix, err := in.ReadLine()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case prefix:
			tooLong = true
			continue
		case tooLong:
			text, tooLong = nil, false
		}
		select {
		case to <- string(text):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
