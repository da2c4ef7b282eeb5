package journal

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	suffix     = ".journal"
	unfinished = ".tmp"
	digits     = 20
)

func (j *Journal) name(number int64) string {
	return path.Join(j.dir, fmt.Sprintf("%0*d%s", digits, number, suffix))
}

// number reads a name that `name` made; false for others.
func number(name string) (int64, bool) {
	text, ours := strings.CutSuffix(name, suffix)
	if !ours || len(text) != digits {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 62)
	return int64(n), err == nil && n > 0 //nolint:gosec // G115: 62 bits
}

// scan lists the files of the journal by number, and removes checkpoints that were never finished.
func (j *Journal) scan() ([]int64, error) {
	entries, err := j.fs.List(j.dir)
	if err != nil {
		return nil, err
	}
	var found []int64
	for _, e := range entries {
		name, tmp := strings.CutSuffix(e.Name, unfinished)
		n, ours := number(name)
		switch {
		case !ours || e.Dir:
		case tmp:
			if err := j.fs.Remove(path.Join(j.dir, e.Name)); err != nil {
				return nil, err
			}
		default:
			found = append(found, n)
		}
	}
	slices.Sort(found)
	return found, nil
}
