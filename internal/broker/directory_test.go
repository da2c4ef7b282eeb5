package broker_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		{"a newer format", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "raven-broker.json"), `{"format":99}`) }, "a newer version of raven wrote it (format 99, this one reads 2)"},
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
