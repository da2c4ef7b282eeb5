package lint

import (
	"regexp"
	"slices"
	"strings"
)

// The page whose first table is the law of the floors.
const floorsPage = "docs/internals/README.md"

// room is a folder, what it may import, and whether it is pure. Rooms of one row of the table share all but the folder.
type room struct {
	path string
	row  int
	may  []string
	pure bool
}

var quoted = regexp.MustCompile("`([^`]+)`")

// roomsOf reads the table | room | job | may import | pure |. Rooms and imports are quoted paths; "pure" is "pure" or empty.
func (t *Tree) roomsOf() []room {
	page, _ := t.Text(floorsPage)
	var rooms []room
	row := 0
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4 {
			continue
		}
		row++
		may, pure := quotedIn(cells[2]), strings.TrimSpace(cells[3]) == "pure"
		for _, path := range quotedIn(cells[0]) {
			rooms = append(rooms, room{path: path, row: row, may: may, pure: pure})
		}
	}
	return rooms
}

func quotedIn(cell string) (all []string) {
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		all = append(all, m[1])
	}
	return all
}

// roomOf finds the room a folder belongs to: the one with the longest path.
func roomOf(rooms []room, dir string) (best room, ok bool) {
	for _, r := range rooms {
		if inside(dir, r.path) && len(r.path) > len(best.path) {
			best, ok = r, true
		}
	}
	return best, ok
}

func inside(dir, room string) bool { return dir == room || strings.HasPrefix(dir, room+"/") }

// permission is one entry of the third column.
type permission struct {
	row int
	may string
}

// floors holds every import among our own packages against the table, and the table against the imports: a permission
// nobody uses is a hole nobody watches.
func floors(t *Tree) []Finding {
	var found collect
	rooms, used, seen := t.roomsOf(), map[permission]bool{}, map[string]bool{}
	for _, f := range t.code() {
		from, ok := roomOf(rooms, f.dir)
		seen[from.path] = true
		if !ok {
			found.in(f.dir, "the folder is in no row of %s", floorsPage)
			continue
		}
		for name, spec := range f.imports {
			dir, ours := strings.CutPrefix(name, module+"/")
			to, _ := roomOf(rooms, dir)
			if !ours || to.path == from.path {
				continue
			}
			used[permission{from.row, to.path}] = true
			if !slices.Contains(from.may, to.path) {
				found.at(t.at(spec), "%s may not import %s", from.path, dir)
			}
		}
	}
	for _, r := range rooms {
		if !seen[r.path] {
			found.in(floorsPage, "room %q has no code", r.path)
			continue
		}
		for _, may := range r.may {
			if !used[permission{r.row, may}] {
				found.in(floorsPage, "%s may import %s but does not", r.path, may)
			}
		}
	}
	return slices.Compact(found.sorted())
}

// purity holds the pure rooms to their word.
func purity(t *Tree) []Finding {
	var found collect
	rooms := t.roomsOf()
	for _, f := range t.code() {
		if r, ok := roomOf(rooms, f.dir); !ok || !r.pure {
			continue
		}
		for name, spec := range f.imports {
			if impureImport(name) {
				found.at(t.at(spec), "pure room imports %q", name)
			}
		}
		for name, call := range f.calls {
			if slices.Contains(impureCalls, name) {
				found.at(t.at(call), "pure room calls %s", name)
			}
		}
		t.goStatements(f, &found)
	}
	return found.sorted()
}

var impureCalls = []string{
	"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.AfterFunc", "time.NewTimer", "time.NewTicker", "time.Tick",
}

func impureImport(name string) bool {
	return slices.ContainsFunc([]string{"net", "os", "syscall", "math/rand", "log", "database"}, func(banned string) bool {
		return inside(name, banned) && name != "net/url" && name != "net/netip"
	})
}
