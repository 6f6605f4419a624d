package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"meshc": main})
}

// TestScripts runs the scripts of testdata/script, each in a directory of its
// own. Update what they want with -update.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("MESHC_CACHE", filepath.Join(env.WorkDir, ".cache"))
			root, err := filepath.Abs("../..")
			if err != nil {
				return err
			}
			env.Setenv("ROOT", root)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			// exits CODE COMMAND...: the command exits with that code.
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				err = ts.Exec(args[1], args[2:]...)
				got := 0
				if err != nil {
					if _, scanErr := fmt.Sscanf(err.Error(), "exit status %d", &got); scanErr != nil {
						ts.Fatalf("%v", err)
					}
				}
				if got != want {
					ts.Fatalf("exit code %d, want %d", got, want)
				}
			},
			// pipe NAME: a pipe that nobody writes to.
			"pipe": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(syscall.Mkfifo(ts.MkAbs(args[0]), 0o644))
			},
			// sparse NAME MIB: a file of that size.
			"sparse": func(ts *testscript.TestScript, _ bool, args []string) {
				size, err := strconv.ParseInt(args[1], 10, 64)
				ts.Check(err)
				f, err := os.Create(ts.MkAbs(args[0]))
				ts.Check(err)
				ts.Check(f.Truncate(size << 20))
				ts.Check(f.Close())
			},
			// bytes NAME QUOTED: a file with what a Go string says.
			"bytes": func(ts *testscript.TestScript, _ bool, args []string) {
				data, err := strconv.Unquote(`"` + args[1] + `"`)
				ts.Check(err)
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(data), 0o644))
			},
		},
	})
}
