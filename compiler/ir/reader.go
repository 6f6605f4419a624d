package ir

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"slices"
)

// Reader reads the meshes of a file that changes, one after the other. A member whose line in mesh.json has not changed
// is the same value in both meshes: it is not decoded again, and who compares the meshes finds the same pointer. The
// zero Reader has read nothing yet.
type Reader struct{ last entries }

// entries are the lines of a mesh.json: one for the settings, and one for each member.
type entries struct {
	settings  []entry[Settings]
	services  []entry[Service]
	gateways  []entry[Gateway]
	externals []entry[External]
}

type entry[T any] struct {
	sum   Sum
	value *T
}

// Read reads the mesh.json that open opens, as [Unmarshal] does. A mesh.json that has not a line for each member is
// opened twice, and read as a whole.
func (r *Reader) Read(open func() (io.ReadCloser, error)) (m *Mesh, err error) {
	if err := opened(open, func(in io.Reader) (err error) { m, err = r.lines(in); return err }); err == nil {
		return m, nil
	}
	err = opened(open, func(in io.Reader) error {
		data, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		m, err = Unmarshal(data)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.Keep(m)
}

func opened(open func() (io.ReadCloser, error), read func(io.Reader) error) error {
	in, err := open()
	if err != nil {
		return err
	}
	return errors.Join(read(in), in.Close())
}

// Keep returns a mesh from elsewhere, with the members of the last one where their JSON is alike.
func (r *Reader) Keep(m *Mesh) (*Mesh, error) {
	e, err := Encode(m)
	if err != nil {
		return nil, err
	}
	var next entries
	out := *m
	next.settings = []entry[Settings]{{sha256.Sum256(e.Settings), &m.Settings}}
	next.services, out.Services = kept(r.last.services, e.Services, m.Services)
	next.gateways, out.Gateways = kept(r.last.gateways, e.Gateways, m.Gateways)
	next.externals, out.Externals = kept(r.last.externals, e.Externals, m.Externals)
	r.last = next
	return &out, nil
}

func kept[T any](last []entry[T], lines [][]byte, values []*T) (next []entry[T], out []*T) {
	known := index[T]{entries: last}
	for i, line := range lines {
		e := entry[T]{sha256.Sum256(line), values[i]}
		if old := known.find(e.sum); old != nil {
			e = *old
		}
		next, out = append(next, e), append(out, e.value)
	}
	return next, out
}

// index finds entries by their sums, which mostly come in the order of the entries.
type index[T any] struct {
	entries []entry[T]
	next    int
	bySum   map[Sum]int
}

func (x *index[T]) find(sum Sum) *entry[T] {
	if x.next < len(x.entries) && x.entries[x.next].sum == sum {
		x.next++
		return &x.entries[x.next-1]
	}
	if x.bySum == nil {
		x.bySum = make(map[Sum]int, len(x.entries))
		for i := range x.entries {
			x.bySum[x.entries[i].sum] = i
		}
	}
	i, ok := x.bySum[sum]
	if !ok {
		x.next++ // one that has changed stands where it stood
		return nil
	}
	x.next = i + 1
	return &x.entries[i]
}

// errLines says that a mesh.json has not a line for each member.
var errLines = errors.New("not a line for each member")

// lines reads a mesh.json as [Encoding.JSON] writes it. An error says no more than that it is not one.
func (r *Reader) lines(in io.Reader) (*Mesh, error) {
	l := &lineReader{in: bufio.NewReaderSize(in, 256<<10)}
	m, next := &Mesh{}, entries{}
	l.head(&index[Settings]{entries: r.last.settings}, &next.settings, m)
	readList(l, "services", r.last.services, &next.services, &m.Services)
	readList(l, "gateways", r.last.gateways, &next.gateways, &m.Gateways)
	readList(l, "externals", r.last.externals, &next.externals, &m.Externals)
	if l.err != io.EOF || l.more {
		return nil, errLines
	}
	if err := m.Valid(); err != nil {
		return nil, err
	}
	r.last = next
	return m, nil
}

// lineReader reads a mesh.json line by line.
type lineReader struct {
	in   *bufio.Reader
	text []byte // the present line, without its end; it holds until the next one is read
	long []byte // the buffer of a line that is longer than that of in
	more bool   // lists follow
	err  error  // io.EOF after the last line
}

func (l *lineReader) next() {
	if l.err != nil {
		return
	}
	l.text, l.err = l.in.ReadSlice('\n')
	if l.err == bufio.ErrBufferFull {
		for l.long = l.long[:0]; l.err == bufio.ErrBufferFull; l.text, l.err = l.in.ReadSlice('\n') {
			l.long = append(l.long, l.text...)
		}
		l.long = append(l.long, l.text...)
		l.text = l.long
	}
	if l.err == io.EOF && len(l.text) > 0 {
		l.err = errLines // every line has an end
	}
	l.text = bytes.TrimSuffix(l.text, []byte("\n"))
}

// head reads the first line, which has the settings.
func (l *lineReader) head(last *index[Settings], next *[]entry[Settings], m *Mesh) {
	l.next()
	if l.err != nil || !bytes.HasPrefix(l.text, []byte(formatStart+",")) {
		l.err = errLines
		return
	}
	body := slices.Clone(l.text[len(formatStart):])
	body[0] = '{'
	if l.more = bytes.HasSuffix(body, []byte(",")); l.more {
		body[len(body)-1] = '}'
	}
	if *next = append(*next, entryOf(l, last, body)); l.err == nil {
		m.Settings = *(*next)[0].value
	}
	l.next()
}

// readList reads the list of that name, if it comes next.
func readList[T any](l *lineReader, name string, last []entry[T], next *[]entry[T], out *[]*T) {
	if l.err != nil || !l.more || string(l.text) != `"`+name+`":[` {
		return
	}
	known := index[T]{entries: last}
	for comma := true; comma && l.err == nil; {
		if l.next(); l.err != nil {
			break
		}
		var line []byte
		line, comma = bytes.CutSuffix(l.text, []byte(","))
		e := entryOf(l, &known, line)
		*next, *out = append(*next, e), append(*out, e.value)
	}
	if l.next(); l.err != nil {
		return
	}
	switch string(l.text) {
	case "],":
	case "]}":
		l.more = false
	default:
		l.err = errLines
	}
	l.next()
}

// entryOf is the entry of a line: the known one, or what the line decodes to.
func entryOf[T any](l *lineReader, known *index[T], line []byte) entry[T] {
	e := entry[T]{sum: sha256.Sum256(line)}
	if old := known.find(e.sum); old != nil {
		return *old
	}
	e.value = new(T)
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if d.Decode(e.value) != nil || trailing(d) {
		l.err = errLines
	}
	return e
}

func trailing(d *json.Decoder) bool {
	_, err := d.Token()
	return err != io.EOF
}
