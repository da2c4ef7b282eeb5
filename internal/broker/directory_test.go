package broker_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/broker"
)

func TestSecondOwnerIsToldWhoHoldsTheDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := startChild(t, dir)
	_, err := broker.Start(t.Context(), options(dir))
	var held *broker.HeldError
	if !errors.As(err, &held) || held.PID != c.cmd.Process.Pid || held.Addr != c.addr || held.Since.IsZero() || held.Command == "" {
		t.Fatalf("got %v: %+v", err, held)
	}
	t.Log(err)
	produce(t, connect(t, c.addr, kgo.AllowAutoTopicCreation()), "t", "unharmed")
	c.end(os.Kill)
	b := start(t, options(dir)) // the lock went with the process
	if got := read(t, b.Addr(), "t"); got["unharmed"] != 1 {
		t.Fatalf("read %v", got)
	}
	if _, err := broker.Start(t.Context(), options(dir)); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Fatalf("within one process: %v", err)
	}
}

func TestDirectoriesThatAreRefusedUntouched(t *testing.T) {
	write := func(t *testing.T, name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name string
		make func(t *testing.T, dir string)
		want string
	}{
		{"somebody else's files", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "thesis.txt"), "x") }, `it is not empty and not ours (it holds "thesis.txt" and no raven-broker.json)`},
		{"another broker's log", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "meta.json"), "{}") }, `it holds "meta.json"`},
		{"a newer format", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "raven-broker.json"), `{"format":99}`) }, "a newer version of raven wrote it (format 99, this one reads up to 1)"},
		{"a damaged marker", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "raven-broker.json"), "{") }, "its marker raven-broker.json is damaged"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.make(t, dir)
			before := list(t, dir)
			_, err := broker.Start(t.Context(), options(dir))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Fatalf("got %v", err)
			}
			if after := list(t, dir); after != before {
				t.Fatalf("there was %q, now %q", before, after)
			}
		})
	}
}

func TestADirectoryThatIsAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{name, filepath.Join(name, "below")} {
		_, err := broker.Start(t.Context(), options(dir))
		if err == nil || !strings.HasSuffix(err.Error(), "not a directory") {
			t.Fatalf("got %v", err)
		}
	}
}

// TestStartAfterAStartThatDiedEarly: the lock file may be there before the marker.
func TestStartAfterAStartThatDiedEarly(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"owner.json", "raven-broker.json.new"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start(t, options(dir))
}

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
