package supervise

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ravenswood.dev/api"
)

// journal is what the callbacks were told, in order.
type journal struct {
	mu   sync.Mutex
	told []string
	urls []string
}

func (j *journal) up(service, version, url string) { j.add("up "+service+"/"+version, url) }
func (j *journal) down(service, version string)    { j.add("down "+service+"/"+version, "") }

func (j *journal) add(what, url string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.told = append(j.told, what)
	if url != "" {
		j.urls = append(j.urls, url)
	}
}

func (j *journal) all() []string { j.mu.Lock(); defer j.mu.Unlock(); return slices.Clone(j.told) }

func (j *journal) lastURL() string { j.mu.Lock(); defer j.mu.Unlock(); return j.urls[len(j.urls)-1] }

// buffer is an output that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *buffer) text() string { b.mu.Lock(); defer b.mu.Unlock(); return b.String() }

// helper is a process that behaves as one of helpers.
func helper(version, behaviour string, args ...string) Process {
	return Process{Service: "svc", Version: version, Command: append([]string{"raven"}, args...), Env: map[string]string{"HELPER": behaviour}}
}

// supervised runs processes for the length of a test; stop ends them and waits.
func supervised(t *testing.T, processes ...Process) (s *Supervisor, j *journal, out *buffer, stop func()) {
	t.Helper()
	j, out = &journal{}, &buffer{}
	s, err := New(Options{Processes: processes, OnEndpoint: j.up, OnDown: j.down, Output: out})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return s, j, out, stop
}

func awaitReady(t *testing.T, s *Supervisor) {
	t.Helper()
	select {
	case <-s.Ready():
	case <-time.After(10 * time.Second):
		t.Fatalf("not ready within 10 s: %+v", s.Status())
	}
}

func TestStartsWaitsAndStopsInReverseOrder(t *testing.T) {
	before := runtime.NumGoroutine()
	s, j, out, stop := supervised(t, helper("v1", "serve"), helper("v2", "serve"), helper("v3", "serve"))
	awaitReady(t, s)
	ports := map[string]bool{}
	for _, p := range s.Status() {
		if p.State != "ready" || p.PID == 0 || p.Error != "" {
			t.Errorf("status %+v", p)
		}
		ports[p.URL] = true
		if resp, err := http.Get(p.URL + "/health"); err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %v", p.URL, err)
		}
	}
	if len(ports) != 3 {
		t.Errorf("addresses %v", ports)
	}
	stop()
	told := j.all()
	if want := []string{"down svc/v3", "down svc/v2", "down svc/v1"}; len(told) != 6 || !slices.Equal(told[3:], want) {
		t.Errorf("told %v, want three ups and then %v", told, want)
	}
	var order []string
	for line := range strings.Lines(out.text()) {
		if name, ok := strings.CutSuffix(line, " | told to stop\n"); ok {
			order = append(order, name)
		}
	}
	if !slices.Equal(order, []string{"svc/v3", "svc/v2", "svc/v1"}) {
		t.Errorf("stopped in the order %v", order)
	}
	for _, p := range s.Status() {
		if p.State != "stopped" || p.PID != 0 || p.URL != "" {
			t.Errorf("status %+v", p)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestAProcessThatEndsStartsAgainElsewhere(t *testing.T) {
	s, j, _, _ := supervised(t, helper("v1", "crash when told"))
	awaitReady(t, s)
	was := s.Status()[0]
	_, _ = http.Get(j.lastURL() + "/crash")
	eventually(t, "the process to be back", func() bool { return len(j.all()) == 3 })
	if want := []string{"up svc/v1", "down svc/v1", "up svc/v1"}; !slices.Equal(j.all(), want) {
		t.Errorf("told %v", j.all())
	}
	now := s.Status()[0]
	if now.PID == was.PID || now.Restarts != 1 || now.State != "ready" || now.Error != "" {
		t.Errorf("status %+v, before %+v", now, was)
	}
}

func TestAProcessThatNeverComesUpIsTriedMoreAndMoreRarely(t *testing.T) {
	s, j, _, stop := supervised(t, helper("v1", "crash"))
	eventually(t, "a second restart", func() bool { return s.Status()[0].Restarts >= 2 })
	p := s.Status()[0]
	if !strings.Contains(p.Error, `the process ended: exit status 3; it last said "about to crash"`) {
		t.Errorf("error %q", p.Error)
	}
	stop()
	if told := j.all(); len(told) != 0 {
		t.Errorf("told %v", told)
	}
	if p := s.Status()[0]; p.State != "stopped" {
		t.Errorf("state %s", p.State)
	}
}

func TestAProcessThatIsNotReadyInTimeIsStoppedAndTriedAgain(t *testing.T) {
	p := helper("v1", "never ready")
	p.Start = 700 * time.Millisecond
	s, _, out, _ := supervised(t, p)
	eventually(t, "a restart because of its health", func() bool {
		e := s.Status()[0].Error
		return strings.Contains(e, "not ready within 700ms") && strings.Contains(e, "answered 503")
	})
	if !strings.Contains(out.text(), "svc/v1 | told to stop") {
		t.Errorf("output %q", out.text())
	}
}

func TestAProcessThatDoesNotStopIsKilled(t *testing.T) {
	p := helper("v1", "stubborn")
	p.Stop = 100 * time.Millisecond
	s, _, _, stop := supervised(t, p)
	awaitReady(t, s)
	pid := s.Status()[0].PID
	stop()
	if !gone(pid) {
		t.Error("the process is still there")
	}
}

func TestWhatAProcessStartedEndsWithIt(t *testing.T) {
	s, _, out, stop := supervised(t, helper("v1", "parent of a child"))
	awaitReady(t, s)
	text, err := lineWith(bufio.NewReader(strings.NewReader(out.text())), "| child ")
	if err != nil {
		t.Fatal(err)
	}
	child, _ := strconv.Atoi(text)
	if gone(child) {
		t.Fatal("there is no child")
	}
	stop()
	eventually(t, "the child to end", func() bool { return gone(child) })
}

// A worker that is killed, as in the crash test, must not leave services behind.
func TestProcessesDieWithTheirSupervisor(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Logf("skipped: only Linux kills children of a dead parent")
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "HELPER=supervisor")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	text, err := lineWith(bufio.NewReader(stdout), "| pid ")
	if err != nil {
		t.Fatal(err)
	}
	child, _ := strconv.Atoi(text)
	if gone(child) {
		t.Fatal("there is no child")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as wanted
	eventually(t, "the child to be killed", func() bool { return gone(child) })
}

func TestOutputIsShownLineByLineWithItsName(t *testing.T) {
	s, _, out, stop := supervised(t, helper("v1", "chatty"))
	awaitReady(t, s)
	eventually(t, "all output", func() bool { return strings.Contains(out.text(), "and error") })
	stop()
	want := []string{"one", "two", strings.Repeat("x", maxLine) + "…", "last and error", "told to stop"}
	if got := s.Status()[0].Output; !slices.Equal(got, want) {
		t.Errorf("kept %q", got)
	}
	if got := out.text(); got != "svc/v1 | "+strings.Join(want, "\nsvc/v1 | ")+"\n" {
		t.Errorf("shown %q", got)
	}
}

func TestOutputIsHarmlessToATerminal(t *testing.T) {
	l := newLines("svc/v1", &output{})
	fmt.Fprint(l, "a\tb\x1b]0;title\x07 \xff é\r\n")
	if got := l.last()[0]; got != "a\tb·]0;title· · é" {
		t.Errorf("shown as %q", got)
	}
}

func TestOutputKeptIsBounded(t *testing.T) {
	l := newLines("svc/v1", &output{})
	for i := range 10 * keptLines {
		fmt.Fprintf(l, "line %d\n", i)
	}
	if kept := l.last(); len(kept) != keptLines || kept[0] != fmt.Sprint("line ", 9*keptLines) {
		t.Errorf("%d lines kept, from %q", len(kept), kept[0])
	}
}

func TestArgumentsFolderAndEnvironment(t *testing.T) {
	t.Setenv("SECRET_TOKEN", "abc")
	dir := t.TempDir()
	p := helper("v1", "env", "--listen=127.0.0.1:$PORT", "${PORT}")
	p.Dir, p.Env["TOKEN"] = dir, "${SECRET_TOKEN}"
	s, j, out, _ := supervised(t, p)
	awaitReady(t, s)
	port := j.lastURL()[strings.LastIndexByte(j.lastURL(), ':')+1:]
	real, _ := filepath.EvalSymlinks(dir)
	if want := fmt.Sprintf("dir %s token abc args --listen=127.0.0.1:%s %s", real, port, port); !strings.Contains(out.text(), want) {
		t.Errorf("output %q, want %q", out.text(), want)
	}
}

func TestNewSaysWhatCannotStart(t *testing.T) {
	for _, c := range []struct {
		name    string
		process Process
		say     string
	}{
		{"no command", Process{}, "it has no command"},
		{"unknown command", Process{Command: []string{"no-such-program-anywhere"}}, `prepare process "svc/v1": find command: exec: "no-such-program-anywhere"`},
		{"no such file", Process{Command: []string{"./users"}, Dir: os.TempDir()}, "users"},
		{"no such folder", Process{Command: []string{"raven"}, Dir: "/no/such/folder"}, `use folder "/no/such/folder": it is not there`},
		{"variable not set", Process{Command: []string{"raven"}, Env: map[string]string{"TOKEN": "${NO_SUCH_VARIABLE}"}}, `set variable "TOKEN": "NO_SUCH_VARIABLE" is not set`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.process.Service, c.process.Version = "svc", "v1"
			s, err := New(Options{Processes: []Process{c.process}})
			if err == nil || !strings.Contains(err.Error(), c.say) || s != nil {
				t.Errorf("error %v, want %q", err, c.say)
			}
		})
	}
}

// Joined with ".", "./users" would lose what says that it is a file, and be looked for in the PATH.
func TestAFileIsACommandInWhicheverFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "bin", "users")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, c := range []struct{ name, dir string }{
		{"./bin/users", ""}, {"bin/users", "."}, {"./users", "bin"}, {"./users", filepath.Join(dir, "bin")}, {file, "."}, {"../bin/users", "bin"},
	} {
		if got, err := findCommand(c.name, c.dir); err != nil || got != file {
			t.Errorf("%s in %q: got %q (%v), want %q", c.name, c.dir, got, err, file)
		}
	}
	t.Chdir("bin")
	if got, err := findCommand("./users", "."); err != nil || got != file {
		t.Errorf("in the current folder: got %q (%v), want %q", got, err, file)
	}
}

func TestProcessesOfAService(t *testing.T) {
	s := &api.Service{Metadata: api.Metadata{Name: "users"}, Spec: api.ServiceSpec{Versions: []api.ServiceVersion{
		{Name: "v1", URL: "http://127.0.0.1:1"},
		{Name: "v2", Exec: []string{"./users"}, Dir: "bin", Health: "/ok", Start: api.Duration(time.Second)},
		{Name: "v3", Exec: []string{"users"}, Dir: "/opt"},
	}}}
	all := ProcessesOf(s, "/etc/raven")
	if len(all) != 2 || all[0].Name() != "users/v2" || all[0].Dir != "/etc/raven/bin" || all[0].Health != "/ok" || all[1].Dir != "/opt" {
		t.Errorf("processes %+v", all)
	}
}

func TestWithoutProcessesRunWaits(t *testing.T) {
	s, _, _, stop := supervised(t)
	awaitReady(t, s)
	stop()
	if len(s.Status()) != 0 {
		t.Error("processes out of nothing")
	}
}

func TestPortsAreNotGivenTwice(t *testing.T) {
	p := &ports{}
	seen := map[int]bool{}
	for range 200 {
		port, err := p.take()
		if err != nil {
			t.Fatal(err)
		}
		if seen[port] {
			t.Fatalf("port %d twice", port)
		}
		seen[port] = true
	}
	l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", slices.Collect(maps.Keys(seen))[0]))
	if err != nil {
		t.Fatalf("a port that is given is not free: %v", err)
	}
	l.Close()
}

func TestBackoff(t *testing.T) {
	now := time.Unix(1000, 0)
	m := newMachine(now)
	var pauses []time.Duration
	for range 10 {
		m.becomeStarting(now)
		pauses = append(pauses, m.becomeBackoff(now, "crash", 0))
	}
	want := []time.Duration{200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000}
	for i := range want {
		if pauses[i] != want[i]*time.Millisecond {
			t.Fatalf("pauses %v", pauses)
		}
	}
	m.becomeStarting(now)
	m.becomeReady(now)
	if pause := m.becomeBackoff(now.Add(stableAfter-1), "crash", 1); pause != backoffMost/2 {
		t.Errorf("one that was not stable pauses %s", pause)
	}
	m.becomeStarting(now)
	m.becomeReady(now)
	if m.cause != "" {
		t.Error("a ready process still shows an error")
	}
	if pause := m.becomeBackoff(now.Add(stableAfter), "crash", 0); pause != backoffFirst {
		t.Errorf("one that was stable pauses %s", pause)
	}
}

func TestOnlyMovesOfTheDiagramArePossible(t *testing.T) {
	now := time.Unix(1000, 0)
	moves := map[string]func(*machine){
		"starting": func(m *machine) { m.becomeStarting(now) },
		"ready":    func(m *machine) { m.becomeReady(now) },
		"backoff":  func(m *machine) { m.becomeBackoff(now, "", 0) },
		"stopping": func(m *machine) { m.becomeStopping(now) },
		"stopped":  func(m *machine) { m.becomeStopped(now) },
	}
	allowed := map[State]string{
		Starting: "backoff ready starting stopping", Ready: "backoff stopping", Backoff: "starting stopping", Stopping: "stopped", Stopped: "",
	}
	for from, want := range allowed {
		var can []string
		for to, move := range moves {
			m := &machine{state: from}
			if func() (ok bool) { defer func() { ok = recover() == nil }(); move(m); return true }() {
				can = append(can, to)
			}
		}
		slices.Sort(can)
		if got := strings.Join(can, " "); got != want {
			t.Errorf("from %s: %q, want %q", from, got, want)
		}
	}
}
