package cli_test

import (
	"context"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ravenswood.dev/internal/cli"
)

// TestMain makes the test program a raven: the scripts run the real commands, and so do services whose exec says raven.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "example-service" {
		raven()
	}
	testscript.Main(m, map[string]func(){"raven": raven})
}

func raven() {
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, release)
	os.Exit(cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}

// TestStories runs the scripts in testdata: each is one story of somebody at a terminal.
func TestStories(t *testing.T) {
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:      "testdata",
		Deadline: time.Now().Add(2 * time.Minute),
		Setup: func(env *testscript.Env) error {
			env.Setenv("EXAMPLES", examples)
			env.Setenv("NO_COLOR", "1")
			env.Setenv("FREE_ADDRESS", freeAddress(t))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"eventually": eventually},
	})
}

// freeAddress is one at which nobody listens, for a second process whose address a script has to know.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// eventually runs a command again and again until it succeeds and its stdout matches, for ten seconds:
//
//	eventually 'ready pid [0-9]+' raven status
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually pattern command...")
	}
	wanted := regexp.MustCompile("(?m)" + args[0])
	for start := time.Now(); ; time.Sleep(150 * time.Millisecond) { // sleep: a poll, the node is another process
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && wanted.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Since(start) > 10*time.Second {
			ts.Fatalf("waited in vain for %q (%v)", args[0], err)
		}
	}
}
