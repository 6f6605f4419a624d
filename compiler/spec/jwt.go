package spec

// JWT is mesh.jwt.
type JWT struct {
	Pos     Pos
	Issuers map[string]*JWTIssuer `cue:"issuers"`
}

// JWTIssuer is an issuer of tokens.
type JWTIssuer struct {
	Pos       Pos
	Issuer    Field[string]   `cue:"issuer"`
	Audiences []Field[string] `cue:"audiences"`
	JWKS      *JWKS           `cue:"jwks"`
	Forward   *JWTForward     `cue:"forward"`
}

// JWKS is where an issuer's keys are.
type JWKS struct {
	Pos     Pos
	Inline  Field[string] `cue:"inline"`
	URL     Field[string] `cue:"url"`
	Service Field[string] `cue:"service" member:"service"`
	Port    Field[string] `cue:"port"`
	Path    Field[string] `cue:"path"`
	Refresh Field[string] `cue:"refresh"`
}

// JWTForward is what a service is told of a token.
type JWTForward struct {
	Pos    Pos
	Token  Field[bool]              `cue:"token"`
	Claims map[string]Field[string] `cue:"claims"`
}

// JWTRule is a token that a request must carry.
type JWTRule struct {
	Pos    Pos
	Issuer Field[string]              `cue:"issuer"`
	Claims map[string][]Field[string] `cue:"claims"`
}
