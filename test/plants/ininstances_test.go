//go:build e2e

package plants

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// inInstances are what happens to instances, and to the files that list them.
func inInstances() []plant {
	noInstance := failing("service web", "service catalog", 503, "NoHealthyUpstream")
	return []plant{
		{"stale-endpoints", makesStale, failing("service web", "service catalog", 503, "")},
		{
			"no-instances", func(t *testing.T, f *field) string {
				f.instances.freeze()
				f.instances.write(t, "catalog", nil)
				return ""
			},
			noInstance,
		},
		{"instances-rejoined", rejoins, noInstance},
		{
			"endpoints-file-blank", func(t *testing.T, f *field) string {
				f.instances.freeze()
				f.instances.writeText(t, "catalog", "")
				return ""
			},
			refused,
		},
		{
			"endpoints-file-oversized", func(t *testing.T, f *field) string {
				f.instances.freeze()
				if err := os.Truncate(f.instances.file("catalog"), 65<<20); err != nil {
					t.Fatal(err)
				}
				return ""
			},
			refused,
		},
		{
			"instance-failing", func(_ *testing.T, f *field) string {
				f.actors["catalog/green"].does(0, 500)
				return ""
			},
			failing("service web", "service catalog", 500, ""),
		},
		{
			"zone-failing", func(_ *testing.T, f *field) string {
				zone := zones[f.rand.IntN(len(zones))]
				for _, list := range f.instances.all {
					for _, i := range list {
						if i.zone == zone {
							i.breaks()
						}
					}
				}
				return zone
			},
			both(failing("service web", "service catalog", 503, "Upstream"),
				failing("service web", "service search", 503, "Upstream")),
		},
		{
			"version-worse", func(_ *testing.T, f *field) string {
				worse := []string{"v1", "v2"}[f.rand.IntN(2)]
				f.actors["search/"+worse].does(0, 500)
				return worse
			},
			failing("service web", "service search", 500, ""),
		},
	}
}

// refused wants meshc serve to have refused a file of endpoints.
func refused(n, _ *numbers, _ string) string {
	if n.state.Endpoints == "" {
		return "the server has no error in files of endpoints"
	}
	return ""
}

// rejoins has all instances leave until requests have failed for it, and come back.
func rejoins(t *testing.T, f *field) string {
	t.Helper()
	const url = "http://catalog:7072/pages/1"
	f.instances.freeze()
	failed := f.load.answers(url, 503)
	f.instances.write(t, "catalog", nil)
	eventually(t, "failures", func() string {
		if f.load.answers(url, 503) < failed+2*shown {
			return "too few requests have failed"
		}
		return ""
	})
	f.instances.write(t, "catalog", f.instances.all["catalog"])
	good := f.load.answers(url, 200)
	eventually(t, "the instances to be back", func() string {
		if f.load.answers(url, 200) < good+shown {
			return "too few requests are answered"
		}
		return ""
	})
	return ""
}

// makesStale replaces all instances by others. The file that lists them says so, and nobody is told that it has
// changed: what is written through mapped memory makes no event of inotify.
func makesStale(t *testing.T, f *field) string {
	t.Helper()
	f.instances.freeze()
	old := f.instances.all["catalog"]
	f.instances.all["catalog"] = nil
	for n := range len(old) {
		i := f.instances.add(t, "catalog", old[n].version, "color", n)
		i.leads(endpoint(f.Placed().Service("catalog"), i.version))
	}
	next := text(f.instances.all["catalog"])
	f.instances.writeText(t, "catalog", text(old)+strings.Repeat(" ", len(next)))
	served := f.actors["catalog/blue"].count()
	eventually(t, "the file before it changes", func() string {
		if f.actors["catalog/blue"].count() < served+shown {
			return "too few requests were answered"
		}
		return ""
	})
	file, err := os.OpenFile(f.instances.file("catalog"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	memory, err := syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	copy(memory, next+strings.Repeat(" ", len(memory)))
	if err := syscall.Munmap(memory); err != nil {
		t.Fatal(err)
	}
	for _, i := range old {
		i.close()
	}
	return ""
}
