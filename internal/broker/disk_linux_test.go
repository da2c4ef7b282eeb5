package broker_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/broker"
)

// mount puts a small file system of memory on a folder, for what only a file system of its own can show.
func mount(t *testing.T, flags uintptr, data string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, data); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: mounting a file system needs root and CAP_SYS_ADMIN: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestReadOnlyDirectory(t *testing.T) {
	dir := mount(t, syscall.MS_RDONLY, "size=1m")
	_, err := broker.Start(t.Context(), options(dir))
	if err == nil || !strings.HasSuffix(err.Error(), "read-only file system") {
		t.Fatalf("got %v", err)
	}
}

// TestFullDiskRefusesAndLosesNothing: while the disk is full nothing is acknowledged; with room again, everything goes on.
func TestFullDiskRefusesAndLosesNothing(t *testing.T) {
	t.Parallel()
	disk := mount(t, 0, "size=8m")
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	b := start(t, options(filepath.Join(disk, "d")))
	createTopic(t, b.Addr(), "t", 1)
	client := connect(t, b.Addr(), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	acked := map[string]bool{}
	put := func(name string, wait time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		value := name + strings.Repeat(".", 100<<10)
		err := client.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte(value)}).FirstErr()
		if err == nil {
			acked[value] = true
		}
		return err
	}
	var full error
	for i := 0; full == nil; i++ {
		if full = put(strings.Repeat("x", i), 3*time.Second); i > 200 {
			t.Fatal("the disk never filled")
		}
	}
	t.Log("full after", len(acked), "records:", full)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := put("later", 10*time.Second); err != nil {
		t.Fatal("with room again:", err)
	}
	stop(t, b)
	b = start(t, options(filepath.Join(disk, "d")))
	got := read(t, b.Addr(), "t")
	for value := range acked {
		if got[value] != 1 {
			t.Fatalf("an acknowledged record is there %d times", got[value])
		}
	}
}
