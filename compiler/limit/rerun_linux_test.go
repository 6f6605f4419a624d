package limit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// again begins the arguments of the process that tests run this program in.
const again = "run-again"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == again {
		rerun(os.Args[2])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// rerun does what a test wants of the process.
func rerun(what string) {
	stderr := os.NewFile(RerunStderr, "stderr")
	fmt.Fprintln(stderr, "said")
	switch what {
	case "copies":
		io.Copy(os.Stdout, os.Stdin)
		os.Exit(3)
	case "floods":
		for {
			fmt.Println(strings.Repeat("x", 1000))
		}
	case "waits":
		for {
			time.Sleep(time.Hour)
		}
	case "panics":
		fmt.Println("something secret")
		panic("of its own")
	}
}

// TestRerun runs this program once more. Nothing is seen of what does not end by itself.
func TestRerun(t *testing.T) {
	limits := Limits{Time: time.Minute, Memory: 1 << 40, Output: 1 << 20}
	for what, c := range map[string]struct {
		code           int
		stdout, stderr string
		err            string
	}{
		"copies": {code: 3, stdout: "read", stderr: "said\n"},
		"ends":   {stderr: "said\n"},
		"floods": {err: "comes to more than 1 MiB"},
		"panics": {err: "exit status 2: panic: of its own"},
	} {
		var stdout, stderr bytes.Buffer
		r := &Rerun{Arguments: []string{again, what}, Stdin: strings.NewReader("read"), Patience: time.Minute}
		code, err := r.Run(context.Background(), limits, &stdout, &stderr)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if code != c.code || stdout.String() != c.stdout || stderr.String() != c.stderr || got != c.err {
			t.Errorf("%s: code %d, stdout %q, stderr %q, error %q", what, code, &stdout, &stderr, got)
		}
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := (&Rerun{Arguments: []string{again, "waits"}, Patience: time.Minute}).
		Run(over, limits, io.Discard, io.Discard)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("one that was interrupted: %v", err)
	}
}
