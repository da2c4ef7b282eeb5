package node

import (
	"os"
	"slices"

	"ravenswood.dev/internal/broker"
)

// ours are the entries by which a data folder is known as ours: any one is enough.
var ours = []string{"log", "state", whereaboutsFile}

// checkDataFolder refuses a folder that holds something else and nothing of ours, before anything is made in it: most
// likely --data names the wrong folder. A folder that cannot be read is the broker's to report.
func checkDataFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return nil //nolint:nilerr // missing is fine, unreadable is said by whoever opens it
	}
	for _, e := range entries {
		if slices.Contains(ours, e.Name()) {
			return nil
		}
	}
	return &broker.ForeignError{Dir: dir, Found: entries[0].Name()}
}
