package spec

// ExternalAuthorization is a service that is asked about requests.
type ExternalAuthorization struct {
	Pos        Pos
	Service    Field[string]   `cue:"service" member:"service"`
	Port       Field[string]   `cue:"port"`
	PathPrefix Field[string]   `cue:"pathPrefix"`
	Headers    []Field[string] `cue:"headers"`
	Forward    []Field[string] `cue:"forward"`
	Timeout    Field[string]   `cue:"timeout"`
	FailOpen   Field[bool]     `cue:"failOpen"`
}
