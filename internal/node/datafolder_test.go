package node

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ravenswood.dev/internal/broker"
)

func TestADataFolderMustBeOursOrEmpty(t *testing.T) {
	for _, c := range []struct {
		name    string
		holds   []string
		refused bool
	}{
		{"missing", nil, false},
		{"empty", []string{"."}, false},
		{"ours", []string{"log/x", "notes.txt"}, false},
		{"ours, of a worker", []string{"state/x"}, false},
		{"somebody's files", []string{"thesis.txt"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "d")
			for _, f := range c.holds {
				path := filepath.Join(dir, f)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if f != "." {
					if err := os.WriteFile(path, nil, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			err := checkDataFolder(dir)
			if _, foreign := errors.AsType[*broker.ForeignError](err); foreign != c.refused {
				t.Errorf("the check says %v", err)
			}
		})
	}
}
