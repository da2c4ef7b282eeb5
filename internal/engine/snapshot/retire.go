package snapshot

import (
	"cmp"
	"regexp"
	"slices"
	"time"
)

// kept is how many of the newest snapshots of a fingerprint always stay: one to use, and one if that is broken.
const kept = 2

// abandoned is after how long a snapshot of another fingerprint goes: its topics are gone, or its stores have changed.
const abandoned = 7 * 24 * time.Hour

// object is a blob of a task's folder, as the storage lists it.
type object struct {
	name    string // without the folder
	size    int64
	written time.Time // by the clock of the storage
}

// manifestName is the fingerprint, the time it was taken, and chance.
var manifestName = regexp.MustCompile(`^([0-9a-f]{16})-[0-9]{14}-[0-9a-f]{16}\.json$`)

func fingerprintOf(name string) string {
	if m := manifestName.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	return ""
}

// newestFirst returns the manifests of a fingerprint. The storage's clock counts: those of the writers may differ.
func newestFirst(manifests []object, fingerprint string) (own []object) {
	for _, o := range manifests {
		if fingerprintOf(o.name) == fingerprint {
			own = append(own, o)
		}
	}
	sortNewest(own)
	return own
}

func sortNewest(all []object) {
	slices.SortFunc(all, func(a, b object) int {
		return cmp.Or(b.written.Compare(a.written), cmp.Compare(b.name, a.name))
	})
}

// retired lists the manifests that nobody needs any more. One stays for the grace after it was replaced, because until then
// somebody may read it or build the next one on it. What is no manifest at all is what a crash left behind.
func retired(manifests []object, fingerprint string, now time.Time, grace time.Duration) (names []string) {
	own := newestFirst(manifests, fingerprint)
	for i := kept; i < len(own); i++ {
		if now.Sub(own[i-1].written) > grace {
			names = append(names, own[i].name)
		}
	}
	for _, o := range manifests {
		if fingerprintOf(o.name) != fingerprint && now.Sub(o.written) > abandoned {
			names = append(names, o.name)
		}
	}
	slices.Sort(names)
	return names
}

// unreferenced lists the files that no manifest names and that are too old for one that is being written.
func unreferenced(files []object, named map[string]bool, now time.Time, grace time.Duration) (names []string) {
	for _, o := range files {
		if !named[o.name] && now.Sub(o.written) > grace {
			names = append(names, o.name)
		}
	}
	return names
}

// buildable says whether the next snapshot may name files of a manifest instead of writing them again: whether it is sure
// to stay for as long as saving takes.
func buildable(newest object, now time.Time) bool { return now.Sub(newest.written) < abandoned/2 }
