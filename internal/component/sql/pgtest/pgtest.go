// Package pgtest starts a real Postgres server for tests: a fresh data directory, a free loopback port, stopped and
// removed when the test ends.
//
// A Server belongs to one test, but its DSN may be used from any goroutine. Tests run as root too: the server then runs
// as nobody, since Postgres refuses root. Do not assume that Postgres is installed: Start skips the test and says so,
// or fails it if the environment variable RAVEN_REQUIRE_POSTGRES is 1.
package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// RequireEnv makes a missing Postgres a failure instead of a skip.
const RequireEnv = "RAVEN_REQUIRE_POSTGRES"

// nobody is the user the server runs as if the test runs as root.
const nobody = 65534

// patience bounds starting and stopping.
const patience = 30 * time.Second

// Server is a running Postgres.
type Server struct {
	tb       testing.TB
	programs map[string]string
	data     string
	port     int
	log      bytes.Buffer // written by the process, read after it has ended
	process  *os.Process
	ended    chan struct{}
}

// Start makes and starts a server, once per call: share it between the cases of one test.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{tb: tb, programs: programs(tb), data: dataDir(tb), port: freePort(tb)}
	s.init()
	s.Start()
	tb.Cleanup(s.Stop)
	return s
}

// programs finds initdb and postgres: in PATH, or where Debian puts them, which is not in PATH.
func programs(tb testing.TB) map[string]string {
	tb.Helper()
	found := map[string]string{}
	for _, name := range []string{"initdb", "postgres"} {
		path, err := exec.LookPath(name)
		if err != nil {
			versions, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
			if len(versions) == 0 {
				missing(tb, name)
			}
			path = versions[len(versions)-1]
		}
		found[name] = path
	}
	return found
}

func missing(tb testing.TB, program string) {
	tb.Helper()
	if os.Getenv(RequireEnv) == "1" {
		tb.Fatalf("start Postgres: %q is not installed, and %s=1 demands it", program, RequireEnv)
	}
	tb.Skipf("NOT TESTED AGAINST POSTGRES: %q is not installed; install Postgres, or set %s=1 to make this a failure", program, RequireEnv)
}

// dataDir is not tb.TempDir, whose parents nobody may not enter.
func dataDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "raven-pgtest-") //nolint:usetesting // nobody may not enter the parents of tb.TempDir
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

func freePort(tb testing.TB) int {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *Server) init() {
	s.tb.Helper()
	cmd := s.command("initdb", "-D", filepath.Join(s.data, "d"), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.tb.Fatalf("initdb: %v\n%s", err, out)
	}
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.WithoutCancel(s.tb.Context()), s.programs[name], args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.Dir = s.data
	cmd.SysProcAttr = childAttr()
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return cmd
}

// Start starts the server again after Stop, with the same data and port, and waits until it answers.
func (s *Server) Start() {
	s.tb.Helper()
	s.log.Reset()
	cmd := s.command("postgres", "-D", filepath.Join(s.data, "d"), "-p", fmt.Sprint(s.port), "-F",
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=50")
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	started, ended := make(chan error), make(chan struct{})
	go func() {
		// The child is told to die with the thread that started it, so that thread must stay.
		runtime.LockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		s.tb.Fatalf("start postgres: %v", err)
	}
	s.process, s.ended = cmd.Process, ended
	s.awaitReady()
}

func (s *Server) awaitReady() {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.DSN())
		if err == nil {
			_ = conn.Close(ctx)
			return
		}
		select {
		case <-s.ended:
			s.tb.Fatalf("postgres ended: %s", strings.TrimSpace(s.log.String()))
		case <-ctx.Done():
			s.tb.Fatalf("postgres does not answer: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the server at once, as if it had been restarted by an operator: open connections break.
func (s *Server) Stop() {
	s.tb.Helper()
	if s.process == nil {
		return
	}
	_ = s.process.Signal(syscall.SIGINT)
	select {
	case <-s.ended:
	case <-time.After(patience):
		_ = s.process.Kill()
		<-s.ended
	}
	s.process = nil
}

// DSN is the server's address, for its database postgres.
func (s *Server) DSN() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)
}
