package graph

import (
	"strings"

	"github.com/meshc/meshc/review/graph/layout"
)

// The sizes of texts, and the most and least width of a box without its padding, in pixels. page.css has the same
// sizes.
const (
	nameSize  = 14
	underSize = 12
	labelSize = 12
	nameMost  = 190
	nameLeast = 80
	// stateLeast is the least width where the state of proxies stands in the box, such as "not connected".
	stateLeast = 118
	padding    = 26
	// nameHeight is that of a box with its name alone, and underHeight that of a line below it.
	nameHeight  = 30
	underHeight = 17
	// portPadding is at both ends of the text on a line, so that a piece of the line is seen there.
	portPadding = 8
)

// widths are those of characters in Verdana, the widest of the fonts that browsers have for texts, in thousandths of
// the size of the font; what is not among them is as wide as wideCharacter.
var widths = func() map[rune]int {
	out := map[rune]int{}
	for width, characters := range map[int]string{
		280: "'ijl", 360: " |,.:;ft", 460: "()[]/\\-_I`·", 540: "rJ\"*szc", 640: "abdeghknopquvxyF?L$0123456789",
		700: "ABCEKPRSTUVXYZ", 790: "DGHNOQ&~+<>=^#", 860: "Mmw", 1100: "W@%…",
	} {
		for _, c := range characters {
			out[c] = width
		}
	}
	return out
}()

const wideCharacter = 1100

// textWidth is at least the width of a text in pixels.
func textWidth(text string, size int) int {
	sum := 0
	for _, c := range text {
		width, known := widths[c]
		if !known {
			width = wideCharacter
		}
		sum += width
	}
	return (sum*size + 999) / 1000
}

// fit shortens a text in its middle, so that it is at most so wide: names often differ at their end.
func fit(text string, most, size int) string {
	if textWidth(text, size) <= most {
		return text
	}
	c := []rune(text)
	for keep := len(c) - 1; keep > 1; keep-- {
		short := strings.TrimSpace(string(c[:(keep+1)/2])) + "…" + strings.TrimSpace(string(c[len(c)-keep/2:]))
		if textWidth(short, size) <= most {
			return short
		}
	}
	return "…"
}

// size is what the texts of the box need.
func (b *Box) size(room Room) layout.Box {
	least := nameLeast
	if room.Under > 1 {
		least = stateLeast
	}
	return layout.Box{
		Width:  padding + max(least, textWidth(b.Text, nameSize), textWidth(b.Under, underSize)),
		Height: nameHeight + room.Under*underHeight,
	}
}
