package serve

import (
	"encoding/binary"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/time/rate"
)

// What a client's frames may cost. A frame that carries nothing costs as much as 20 KiB of data: streams that are
// opened and reset (CVE-2023-44487), header blocks that never end (CVE-2023-45288), DATA without data, pings and
// settings. A proxy that is sent a large mesh answers with some hundred updates of its windows a second.
const (
	frameCostPerSecond = 2000
	frameCostAtOnce    = 20000
	idleFrameCost      = 20
	bytesPerCost       = 1 << 10

	clientPreface   = http2.ClientPreface
	frameHeaderSize = 9
)

// frames counts the HTTP/2 frames that a client sends (RFC 9113, section 4.1). It reads only the frame headers.
type frames struct {
	header [frameHeaderSize]byte
	have   int // bytes of header
	rest   int // bytes until the next header
	budget *rate.Limiter
}

// pass processes the next bytes, and reports whether the frames are still within the budget.
func (f *frames) pass(data []byte) bool {
	for len(data) > 0 {
		if f.rest > 0 {
			skipped := min(f.rest, len(data))
			f.rest -= skipped
			data = data[skipped:]
			continue
		}
		n := copy(f.header[f.have:], data)
		f.have += n
		data = data[n:]
		if f.have < frameHeaderSize {
			return true
		}
		f.have = 0
		f.rest = int(binary.BigEndian.Uint32(f.header[:4]) >> 8)
		if !f.budget.AllowN(time.Now(), f.cost()) {
			return false
		}
	}
	return true
}

// cost returns the cost of the frame whose header was read.
func (f *frames) cost() int {
	switch http2.FrameType(f.header[3]) {
	case http2.FrameData:
		if f.rest > 0 || http2.Flags(f.header[4]).Has(http2.FlagDataEndStream) {
			return 1 + f.rest/bytesPerCost
		}
	case http2.FrameWindowUpdate:
		return 1
	}
	return idleFrameCost
}
