package ir

// Headers are changes of the headers of requests and of their answers.
type Headers struct {
	Request  HeaderEdits `json:"request,omitzero"`
	Response HeaderEdits `json:"response,omitzero"`
}

// HeaderEdits drop headers, and then replace and append some. No name stands
// twice; names are lower case and the lists sorted by them.
type HeaderEdits struct {
	Set    []Header `json:"set,omitempty"`
	Add    []Header `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

// Header has a literal value.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}
