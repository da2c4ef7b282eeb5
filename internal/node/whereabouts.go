package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// whereaboutsFile is the file in the data folder that says where a running node can be reached.
const whereaboutsFile = "node.json"

// Whereabouts is what a node writes down for the other commands.
type Whereabouts struct {
	PID     int      `json:"pid"`
	Brokers []string `json:"brokers"`
	Admin   string   `json:"admin,omitempty"`
}

// WriteWhereabouts replaces the file as a whole, so that a reader never sees half of it.
func WriteWhereabouts(data string, w Whereabouts) error {
	raw, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		return fmt.Errorf("write whereabouts: %w", err)
	}
	if err := os.MkdirAll(data, 0o750); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	path := filepath.Join(data, whereaboutsFile)
	if err := os.WriteFile(path+".new", append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("write whereabouts: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write whereabouts: %w", err)
	}
	return nil
}

// ReadWhereabouts reads what the node that has the data folder wrote down; it is empty if there is none.
func ReadWhereabouts(data string) Whereabouts {
	var w Whereabouts
	raw, err := os.ReadFile(filepath.Join(data, whereaboutsFile))
	if err == nil {
		_ = json.Unmarshal(raw, &w) // a damaged file counts as none
	}
	return w
}

// RemoveWhereabouts removes the file unless another process has written its own there since.
func RemoveWhereabouts(data string) error {
	if ReadWhereabouts(data).PID != os.Getpid() {
		return nil
	}
	if err := os.Remove(filepath.Join(data, whereaboutsFile)); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("remove whereabouts: %w", err)
	}
	return nil
}
