package ir

// CORS is which web pages may read the answers (Fetch standard, 3.2).
type CORS struct {
	// Origins are "SCHEME://HOST[:PORT]", where HOST may begin with "*.", or "*".
	// At least one.
	Origins       []string `json:"origins"`
	Methods       []string `json:"methods,omitempty"`
	Headers       []string `json:"headers,omitempty"`
	ExposeHeaders []string `json:"exposeHeaders,omitempty"`
	MaxAge        Duration `json:"maxAge,omitempty"`
	Credentials   bool     `json:"credentials,omitempty"`
}
