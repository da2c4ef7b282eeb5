//go:build unix

package file

import (
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// TestSinkWhenTheDiskTakesNoMore lets the system refuse a file beyond a size, which like a full disk shows in the
// middle of a write, after a part of it went through.
func TestSinkWhenTheDiskTakesNoMore(t *testing.T) {
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
