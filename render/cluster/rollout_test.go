package cluster

import "testing"

func TestTaken(t *testing.T) {
	for _, c := range []struct {
		data         map[string]string
		done, failed bool
		missing      string
	}{
		{map[string]string{"mesh": "b"}, false, false, "no server has reported yet"},
		{map[string]string{"mesh": "b", "server.x": "b acknowledged"}, true, false, ""},
		{
			map[string]string{"mesh": "b", "server.x": "b acknowledged", "server.y": "a acknowledged"},
			false, false,
			"y has the mesh before it",
		},
		{
			map[string]string{"mesh": "b", "server.x": "b behind: 1 of 3 proxies"},
			false, false,
			"x says: behind: 1 of 3 proxies",
		},
		{map[string]string{"mesh": "b", "server.x": "b refused: a: b"}, false, true, "x says: refused: a: b"},
		{map[string]string{"mesh": "b", "server.x": "a refused: a: b"}, false, false, "x has the mesh before it"},
		{map[string]string{"mesh": "b", "server.x": "b invalid: why"}, false, true, "x says: invalid: why"},
	} {
		done, failed, missing := taken(c.data)
		if done != c.done || failed != c.failed || !done && missing != c.missing {
			t.Errorf("%v: %v, %q", c.data, done, missing)
		}
	}
}
