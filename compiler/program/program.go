// Package program finds the programs that meshc runs, and never one that somebody's change of a mesh brought along;
// and it tells one meshc from another.
package program

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Find is the absolute path of a program that PATH has. One of an entry of PATH that is not absolute is an error, as
// is one in the directory outside, links followed: a reviewed tree. An empty outside refuses none.
func Find(name, outside string) (string, error) {
	found, err := exec.LookPath(name)
	switch {
	case errors.Is(err, exec.ErrDot):
		return "", fmt.Errorf("%s is in an entry of PATH that is not absolute", name)
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("PATH has no %s", name)
	case err != nil:
		return "", err
	}
	return found, Outside(found, outside)
}

// Outside is an error when a program is in a directory, or a link to one there. An empty directory refuses none.
func Outside(program, dir string) error {
	if dir == "" {
		return nil
	}
	actual, err := filepath.EvalSymlinks(program)
	if err != nil {
		return err
	}
	if actual, err = filepath.Abs(actual); err != nil {
		return err
	}
	as, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	for _, d := range []string{dir, real} {
		if isBelow(as, d) || isBelow(actual, d) {
			return fmt.Errorf("%s is in the work tree %s, and a program of a tree that is reviewed is not run", program,
				dir)
		}
	}
	return nil
}

// Build tells this meshc from another, for what is kept between runs; empty when that cannot be told.
func Build() string {
	executable, err := os.Executable()
	if err != nil {
		return ""
	}
	info, err := os.Stat(executable)
	if err != nil {
		return ""
	}
	return fmt.Sprint(info.Size(), info.ModTime().UnixNano())
}

func isBelow(file, dir string) bool {
	return strings.HasPrefix(file, strings.TrimSuffix(dir, string(os.PathSeparator))+string(os.PathSeparator))
}
