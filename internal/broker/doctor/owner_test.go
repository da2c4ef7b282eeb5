package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLock(t *testing.T) {
	dir := t.TempDir()
	if _, err := Lock(dir)(); !errors.Is(err, ErrNoData) {
		t.Errorf("a directory of somebody else: %v", err)
	}
	check(t, os.WriteFile(filepath.Join(dir, markerFile), []byte("{}"), 0o600))
	release, err := Lock(dir)()
	check(t, err)
	check(t, release())
	check(t, os.WriteFile(filepath.Join(dir, ownerFile), []byte(`{"pid": 7, "command": "raven up"}`), 0o600))
	release, err = Lock(dir)()
	check(t, err)
	_, err = Lock(dir)()
	if r, ok := errors.AsType[*RunningError](err); !ok || r.PID != 7 || !strings.Contains(r.Error(), `"raven up" (pid 7)`) {
		t.Errorf("in use: %v", err)
	}
	check(t, release())
	release, err = Lock(dir)()
	check(t, err)
	check(t, release())
}
