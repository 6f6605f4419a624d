package ir

// Pairs calls f with what has one name in two lists that are sorted by name; nil for none.
func Pairs[T any](a, b []*T, name func(*T) string, f func(name string, x, y *T)) {
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && name(a[0]) < name(b[0]):
			f(name(a[0]), a[0], nil)
			a = a[1:]
		case len(a) == 0 || name(b[0]) < name(a[0]):
			f(name(b[0]), nil, b[0])
			b = b[1:]
		default:
			f(name(a[0]), a[0], b[0])
			a, b = a[1:], b[1:]
		}
	}
}
