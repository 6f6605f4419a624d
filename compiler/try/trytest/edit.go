package trytest

import "slices"

// Edited is a spec with one or two changes, as people make them.
func (g *Random) Edited(s *Spec) *Spec {
	out := *s
	for i := range out.Services {
		v := &out.Services[i]
		v.Allow, v.Deny, v.Routes = slices.Clone(v.Allow), slices.Clone(v.Deny), slices.Clone(v.Routes)
	}
	out.Gateway = slices.Clone(s.Gateway)
	out.Clients = Rules{slices.Clone(s.Clients.Allow), slices.Clone(s.Clients.Deny)}
	for range 1 + g.IntN(2) {
		i := g.IntN(2)
		name, other := []string{"b", "c"}[i], []string{"c", "b"}[i]
		v := &out.Services[i]
		if g.Wide && g.chance(4) {
			v.Doors = g.doors(name)
			continue
		}
		switch g.IntN(11) {
		case 0, 1:
			g.edit(&v.Allow, g.allow)
		case 2:
			g.edit(&v.Deny, g.deny)
		case 3, 4:
			g.edit(&v.Routes, func() string { return g.route(name, other) })
		case 5, 6:
			g.edit(&out.Gateway, func() string { return g.route("", g.one("b", "c")) })
		case 7:
			v.Traffic = g.one("", "\ttimeout: \"3s\"\n", "\tretries: attempts: 2\n")
		case 8:
			g.edit(&out.Clients.Allow, g.allowsClients)
		case 9:
			g.edit(&out.Clients.Deny, g.deniesClients)
		case 10:
			out.Uses[g.IntN(2)] = g.one("b: {}, c: {}", "b: {timeout: \"2s\"}, c: {}", "b: {}")
		}
	}
	return &out
}

// edit adds, takes out, replaces or moves an element.
func (g *Random) edit(list *[]string, one func() string) {
	n := len(*list)
	i := g.IntN(n + 1)
	switch {
	case i == n || g.chance(3):
		*list = slices.Insert(*list, i, one())
	case g.chance(3):
		*list = slices.Delete(*list, i, i+1)
	case g.chance(2):
		(*list)[i] = one()
	default:
		j := g.IntN(n)
		(*list)[i], (*list)[j] = (*list)[j], (*list)[i]
	}
}
