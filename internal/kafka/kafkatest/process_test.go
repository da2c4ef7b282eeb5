package kafkatest_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// The variable that makes this test binary a broker: which, its two ports and its folder.
const envRole = "RAVEN_KAFKATEST_ROLE"

// process is a broker in a process of its own, which can be killed.
type process struct {
	role  string
	dir   string
	ports [2]int // for everybody, and for who logs in if the broker has that
	cmd   *exec.Cmd
}

func startProcess(t *testing.T, role string) *process {
	t.Helper()
	p := &process{role: role, dir: t.TempDir(), ports: [2]int{freePort(t), freePort(t)}}
	p.start(t)
	t.Cleanup(p.kill)
	return p
}

// start returns when the broker listens.
func (p *process) start(t testing.TB) {
	t.Helper()
	p.cmd = startSelf(t, fmt.Sprintf("%s=%s,%d,%d,%s", envRole, p.role, p.ports[0], p.ports[1], p.dir))
}

// startSelf starts this test binary with a variable more, and returns when it says a line on its output. It ends when its input
// is closed, that is with us.
func startSelf(t testing.TB, variable string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), variable), os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		_, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = bufio.NewReader(out).ReadString('\n')
	}
	if err != nil {
		t.Fatalf("start %s: %v", variable, err)
	}
	return cmd
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	_ = p.cmd.Wait()
}

func (p *process) restart(t testing.TB) {
	t.Helper()
	p.kill()
	p.start(t)
}

func (p *process) addr(i int) string { return fmt.Sprintf("127.0.0.1:%d", p.ports[i]) }

// serve is the other process.
func serve(role string) error {
	fields := strings.SplitN(role, ",", 4)
	p := &process{role: fields[0], dir: fields[3]}
	for i := range p.ports {
		port, err := strconv.Atoi(fields[1+i])
		if err != nil {
			return err
		}
		p.ports[i] = port
	}
	begin := map[string]func(*process) error{"kfake": beginKfake}[p.role]
	if err := begin(p); err != nil {
		return err
	}
	fmt.Println("listening")
	_, _ = os.Stdin.Read(make([]byte, 1)) // until whoever started us is gone
	return nil
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
