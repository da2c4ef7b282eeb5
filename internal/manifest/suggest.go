package manifest

import (
	"slices"
	"strings"
)

// Suggest says which of the allowed names was probably meant, or lists them if none is close. It is the sentence behind
// every "did you mean".
func Suggest(name string, allowed []string) string {
	if best := Closest(name, allowed); best != "" {
		return `did you mean "` + best + `"?`
	}
	const most = 20
	if len(allowed) == 0 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(allowed))
	if len(sorted) > most {
		return "allowed are " + strings.Join(sorted[:most], ", ") + ", …"
	}
	if len(sorted) == 1 {
		return "allowed is " + sorted[0]
	}
	return "allowed are " + strings.Join(sorted, ", ")
}

// Closest is the allowed name with the least edits, if they are few for its length, else empty; on a tie, the first by name.
func Closest(name string, allowed []string) string {
	const longest = 100 // longer names are not typing errors, and the table grows with the square
	if len(name) > longest {
		return ""
	}
	best, bestEdits := "", 1+max(1, len(name)/3)
	for _, a := range slices.Sorted(slices.Values(allowed)) {
		if len(a) > longest {
			continue
		}
		if e := edits(strings.ToLower(name), strings.ToLower(a)); e < bestEdits {
			best, bestEdits = a, e
		}
	}
	return best
}

// edits counts the insertions, deletions, replacements and swaps of neighbours that turn a into b.
func edits(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			differ := 1
			if a[i-1] == b[j-1] {
				differ = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+differ)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
