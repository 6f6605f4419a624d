// Package similar finds the name that was meant by a misspelt one.
package similar

import (
	"slices"
	"strings"
)

// Name is the candidate that is most similar to what was written, or "" if none is similar enough.
func Name(written string, candidates []string) string {
	best, bestDistance := "", 2+max(0, len(written)-4)/3
	if slices.Contains(candidates, written) {
		return written
	}
	if len(written) < 3 {
		return "" // nearly everything is near
	}
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		if d := distance(strings.ToLower(written), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the number of insertions, deletions, substitutions and swaps of
// neighbours between two words (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			substitute := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				substitute++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, substitute)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
