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

	"github.com/twmb/franz-go/pkg/kfake"

	"ravenswood.dev/internal/kafka/kafkatest"
)

// TestConformanceOfKfake shows what the list finds in a broker that is meant for tests only. It runs in a process of its own,
// which can be killed.
func TestConformanceOfKfake(t *testing.T) {
	child := &kfakeProcess{dir: t.TempDir(), port: freePort(t)}
	child.start(t)
	t.Cleanup(child.kill)
	report(t, kafkatest.Run(t, kafkatest.Target{
		Name: "kfake",
		Seed: fmt.Sprintf("127.0.0.1:%d", child.port),
		Restart: func(t testing.TB) {
			child.kill()
			child.start(t)
		},
	}))
}

// The variable that makes this test binary a kfake: its folder and its port.
const envKfake = "RAVEN_KFAKE"

type kfakeProcess struct {
	dir  string
	port int
	cmd  *exec.Cmd
}

// start returns when the broker listens, which it says on its output. It ends when its input is closed, that is with us.
func (p *kfakeProcess) start(t testing.TB) {
	t.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d,%s", envKfake, p.port, p.dir))
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		_, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err == nil {
		_, err = bufio.NewReader(out).ReadString('\n')
	}
	if err != nil {
		t.Fatalf("start kfake: %v", err)
	}
}

func (p *kfakeProcess) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	_ = p.cmd.Wait()
}

// serveKfake is the other process.
func serveKfake(where string) error {
	number, dir, _ := strings.Cut(where, ",")
	port, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	_, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port), kfake.DataDir(dir), kfake.AllowAutoTopicCreation(), kfake.BrokerConfigs(map[string]string{
		"group.min.session.timeout.ms": "500", "log.cleaner.backoff.ms": "200",
	}))
	if err != nil {
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
