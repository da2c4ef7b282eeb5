package apache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The file in a cluster's folder that says which processes it is.
const recordFile = "brokers.json"

func (c *Cluster) record() error {
	text, err := json.MarshalIndent(c.brokers, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.dir, recordFile), append(text, '\n'), 0o600)
}

// Running tells whether a broker that was started in dir to stay still runs.
func Running(dir string) (bool, error) {
	brokers, err := recorded(dir)
	for _, s := range brokers {
		if s.alive() {
			return true, err
		}
	}
	return false, err
}

// Stop ends the brokers that were started in dir to stay, and nothing else, and tells how many there were.
func Stop(dir string) (ended int, err error) {
	brokers, err := recorded(dir)
	if err != nil {
		return 0, err
	}
	for _, s := range brokers {
		if s.alive() {
			ended++
			err = errors.Join(err, syscall.Kill(s.PID, syscall.SIGTERM))
		}
	}
	for _, s := range brokers {
		err = errors.Join(err, s.outlast(15*time.Second))
	}
	return ended, err
}

func recorded(dir string) (brokers []*server, err error) {
	text, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the brokers of %q: %w", dir, err)
	}
	if err := json.Unmarshal(text, &brokers); err != nil {
		return nil, fmt.Errorf("find the brokers of %q: %w", dir, err)
	}
	return brokers, nil
}

// alive tells whether the process is there and is this broker: a number alone may belong to somebody else by now.
func (s *server) alive() bool {
	out, err := exec.Command("ps", "-ww", "-o", "stat=,args=", "-p", strconv.Itoa(s.PID)).Output() //nolint:noctx // ends at once
	return err == nil && strings.Contains(string(out), s.settings()) && !strings.HasPrefix(strings.TrimSpace(string(out)), "Z")
}

// outlast waits until the process is gone, and ends it by force if that takes too long.
func (s *server) outlast(patience time.Duration) error {
	for deadline := time.Now().Add(patience); s.alive(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			return syscall.Kill(s.PID, syscall.SIGKILL)
		}
	}
	return nil
}
