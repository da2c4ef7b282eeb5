// Package realdata finds and reads the real events that some tests work on. They are no part of the repository.
//
// RAVEN_DATA names their folder: a path from the root of the repository, or an absolute one. Its functions are for the
// goroutine of a test.
//
// Do not assume that a test that asks for them runs: without RAVEN_DATA it is skipped and says what was left out, and with
// RAVEN_REQUIRE_DATA=1, as in CI, it fails.
package realdata

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	folderVariable  = "RAVEN_DATA"
	requireVariable = "RAVEN_REQUIRE_DATA"

	lineMax = 1 << 20
)

// Events is the path of a file of events; what says in words what a test lacks without it.
func Events(t testing.TB, file, what string) string {
	t.Helper()
	folder := os.Getenv(folderVariable)
	if folder == "" && os.Getenv(requireVariable) != "1" {
		t.Skipf("LEFT OUT: %s; set %s, for example to ../shared/data", what, folderVariable)
	}
	path, err := find(folder, file)
	if err != nil {
		t.Fatalf("find %s: %v", what, err)
	}
	return path
}

// find is where a file of events is in the folder of real data.
func find(folder, file string) (string, error) {
	if folder == "" {
		return "", errors.New(folderVariable + " is not set")
	}
	if !filepath.IsAbs(folder) {
		root, err := repository()
		if err != nil {
			return "", err
		}
		folder = filepath.Join(root, folder)
	}
	path := filepath.Join(folder, "events", file)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is %q: %w", folderVariable, os.Getenv(folderVariable), err)
	}
	return path, nil
}

// repository is the root of the repository that a test runs in: tests run in the folders of their packages.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); !errors.Is(err, fs.ErrNotExist) {
			return dir, err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the repository: no go.mod above")
		}
		dir = parent
	}
}

// Lines reads the lines of a file; one whose name ends in .gz is unpacked.
func Lines(t testing.TB, path string) [][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := read(f, strings.HasSuffix(path, ".gz"))
	if err != nil {
		t.Fatalf("read %q: %v", path, err)
	}
	return lines
}

func read(in io.Reader, packed bool) (lines [][]byte, err error) {
	if packed {
		if in, err = gzip.NewReader(in); err != nil {
			return nil, err
		}
	}
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, lineMax)
	for scanner.Scan() {
		lines = append(lines, []byte(scanner.Text()))
	}
	return lines, scanner.Err()
}
