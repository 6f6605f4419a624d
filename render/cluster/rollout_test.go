package cluster

import "testing"

func TestTaken(t *testing.T) {
	for _, c := range []struct {
		data    map[string]string
		done    bool
		missing string
	}{
		{map[string]string{"mesh": "b"}, false, "no server has reported yet"},
		{map[string]string{"mesh": "b", "server.x": "b acknowledged"}, true, ""},
		{map[string]string{"mesh": "b", "server.x": "b acknowledged", "server.y": "a acknowledged"}, false, "y has the mesh before it"},
		{map[string]string{"mesh": "b", "server.x": "b behind: 1 of 3 proxies"}, false, "x says: behind: 1 of 3 proxies"},
		{map[string]string{"mesh": "b", "server.x": "b refused: a: b"}, false, "x says: refused: a: b"},
		{map[string]string{"mesh": "b", "server.x": "invalid: why"}, false, "x says: invalid: why"},
	} {
		done, missing := taken(c.data)
		if done != c.done || !done && missing != c.missing {
			t.Errorf("%v: %v, %q", c.data, done, missing)
		}
	}
}
