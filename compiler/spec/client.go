package spec

// Client is a client of a gateway, by what it alone knows.
type Client struct {
	Pos       Pos
	APIKeys   []*SecretValue `cue:"apiKeys"`
	Passwords []*SecretValue `cue:"passwords"`
}
