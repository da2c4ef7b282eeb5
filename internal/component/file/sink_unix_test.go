//go:build unix

package file

import (
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// sizeLimited marks the child process of TestSinkWhenTheDiskTakesNoMore. The limit holds for every file of a process,
// the ones that the test binary writes for the go command too, so it is set in a process that has none of those.
const sizeLimited = "RAVEN_TEST_SIZE_LIMITED"

// TestSinkWhenTheDiskTakesNoMore lets the system refuse a file beyond a size, which like a full disk shows in the
// middle of a write, after a part of it went through.
func TestSinkWhenTheDiskTakesNoMore(t *testing.T) {
	if os.Getenv(sizeLimited) != "" {
		fillUpAndGoOn(t)
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSinkWhenTheDiskTakesNoMore$", "-test.v")
	child.Env = append(os.Environ(), sizeLimited+"=1")
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestSinkWhenTheDiskTakesNoMore") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// fillUpAndGoOn delivers into a file that may not grow, and again once it may.
func fillUpAndGoOn(t *testing.T) {
	dir := t.TempDir()
	s := openTestSink(t, dir, SinkConfig{})
	mustDeliver(t, s, 0, `1`)
	signal.Ignore(syscall.SIGXFSZ)
	t.Cleanup(func() { signal.Reset(syscall.SIGXFSZ) })
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	small := was
	small.Cur = 1000
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("2", 2000)
	err := deliver(s, 1, big)
	if restored := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); restored != nil {
		t.Fatal(restored)
	}
	if err == nil || !strings.Contains(err.Error(), "too large") {
		t.Fatalf("got %v, want the system's refusal", err)
	}
	wantPosition(t, s, 1)
	mustDeliver(t, s, 1, `3`)
	wantText(t, contents(t, dir), "in-0-000001.jsonl: 1 3")
}
