package preflight

import "fmt"

// Limits are what the kernel allows; 0 for what is not known.
type Limits struct {
	// Inotify is how many instances of inotify a user may have, and Files how many files a process may have open.
	Inotify, Files uint64
}

// results are those of the limits that are known.
func (l Limits) results() (out []Result) {
	if l.Inotify > 0 {
		one := Result{
			Check: Inotify, Good: l.Inotify >= leastInotify,
			Text: fmt.Sprintf("a user may have %d instances of inotify", l.Inotify),
		}
		if !one.Good {
			one.Hint = "Envoys watch their certificates by inotify, and all containers of a node share the limit: " +
				"sysctl fs.inotify.max_user_instances=1024"
		}
		out = append(out, one)
	}
	if l.Files > 0 {
		one := Result{
			Check: OpenFiles, Good: l.Files >= leastFiles,
			Text: fmt.Sprintf("a process may have %d files open", l.Files),
		}
		if !one.Good {
			one.Hint = "a proxy needs one for each connection: raise the limit (ulimit -n, LimitNOFILE= of systemd)"
		}
		out = append(out, one)
	}
	return out
}
