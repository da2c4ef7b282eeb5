package broker_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/kafka"
)

// The variables that make this test binary a broker process.
const (
	childDir  = "RAVEN_TEST_BROKER_DIR"
	childAddr = "RAVEN_TEST_BROKER_ADDR"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(runChild(dir))
	}
	os.Exit(m.Run())
}

// runChild serves until SIGTERM, having said its address.
func runChild(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	b, err := broker.Start(ctx, broker.Options{Dir: dir, Listener: broker.Listener{Addr: os.Getenv(childAddr)}})
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	fmt.Println("addr", b.Addr())
	<-ctx.Done()
	if err := b.Close(); err != nil {
		return 1
	}
	return 0
}

// child is a broker in a process of its own.
type child struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
}

func startChild(t *testing.T, dir string) *child {
	t.Helper()
	return startChildAt(t, dir, "127.0.0.1:0")
}

func startChildAt(t *testing.T, dir, addr string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childAddr+"="+addr)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "addr ")
	if !ok {
		t.Fatalf("the child said %q, %v", line, err)
	}
	c := &child{t: t, cmd: cmd, addr: addr}
	t.Cleanup(func() { c.end(os.Kill) })
	return c
}

// end signals the child and waits for it.
func (c *child) end(sig os.Signal) {
	if c.cmd.ProcessState != nil {
		return
	}
	_ = c.cmd.Process.Signal(sig) // it may have ended by itself; Wait tells
	_ = c.cmd.Wait()
}

func options(dir string) broker.Options {
	return broker.Options{Dir: dir, Listener: broker.Listener{Addr: "127.0.0.1:0"}, Log: slog.New(slog.DiscardHandler)}
}

func start(t *testing.T, o broker.Options) *broker.Broker {
	t.Helper()
	b, err := broker.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, b) })
	return b
}

func stop(t *testing.T, b *broker.Broker) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func connect(t *testing.T, addr string, more ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(kafka.Config{Brokers: []string{addr}}.Options(), more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func createTopic(t *testing.T, addr, topic string, partitions int32) {
	t.Helper()
	r, err := kadm.NewClient(connect(t, addr)).CreateTopic(t.Context(), partitions, 1, nil, topic)
	if err := errors.Join(err, r.Err); err != nil {
		t.Fatal(err)
	}
}

func produce(t *testing.T, client *kgo.Client, topic string, values ...string) {
	t.Helper()
	for _, v := range values {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// read returns how often each value is in a topic.
func read(t *testing.T, addr, topic string) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	values := map[string]int{}
	err := kafka.ReadToEnd(ctx, kafka.Config{Brokers: []string{addr}}, topic, nil, func(r *kgo.Record) error {
		values[string(r.Value)]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func TestRestartKeepsRecordsTopicsAndOffsets(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b") // made, parents and all
	b := start(t, options(dir))
	createTopic(t, b.Addr(), "t", 3)
	produce(t, connect(t, b.Addr()), "t", "a", "b")
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: "t", Partition: 1, At: 7, LeaderEpoch: -1, Metadata: "m"})
	if err := kadm.NewClient(connect(t, b.Addr())).CommitAllOffsets(t.Context(), "g", offsets); err != nil {
		t.Fatal(err)
	}
	txn := connect(t, b.Addr(), kgo.TransactionalID("x"))
	for _, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := txn.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		produce(t, txn, "t", fmt.Sprint("txn ", commit))
		if err := txn.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	stop(t, b)

	b = start(t, options(dir))
	if got := read(t, b.Addr(), "t"); len(got) != 3 || got["a"]+got["b"]+got["txn true"] != 3 {
		t.Fatalf("read %v", got)
	}
	admin := kadm.NewClient(connect(t, b.Addr()))
	if topics, err := admin.ListTopics(t.Context()); err != nil || len(topics["t"].Partitions) != 3 {
		t.Fatalf("topics are %v, %v", topics, err)
	}
	back, err := admin.FetchOffsets(t.Context(), "g")
	if o, ok := back.Lookup("t", 1); err != nil || !ok || o.At != 7 || o.Metadata != "m" {
		t.Fatalf("offsets are %v, %v", back, err)
	}
}

func TestKilledBrokerKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 3 {
		c := startChild(t, dir)
		topic := fmt.Sprint("t", round)
		createTopic(t, c.addr, topic, 4)
		var mu sync.Mutex
		acked := map[string]bool{}
		enough := make(chan struct{})
		client, err := kgo.NewClient(kgo.SeedBrokers(c.addr), kgo.ProducerLinger(0))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var producing sync.WaitGroup
		producing.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				client.Produce(ctx, &kgo.Record{Topic: topic, Value: fmt.Append(nil, i)}, func(r *kgo.Record, err error) {
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						return
					}
					acked[string(r.Value)] = true
					if len(acked) == 2000 {
						close(enough)
					}
				})
			}
		})
		<-enough
		c.end(os.Kill)
		cancel()
		producing.Wait()
		client.CloseAllowingRebalance()

		b := start(t, options(dir))
		got := read(t, b.Addr(), topic)
		mu.Lock()
		for v := range acked {
			if got[v] != 1 {
				t.Fatalf("round %d: %q was acknowledged and is there %d times", round, v, got[v])
			}
		}
		mu.Unlock()
		stop(t, b)
	}
}

func TestTerminatedBrokerComesBackWithItsOpenTransaction(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := startChild(t, dir)
	createTopic(t, c.addr, "t", 1)
	txn := connect(t, c.addr, kgo.TransactionalID("x"))
	if err := txn.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produce(t, txn, "t", "open")
	c.end(syscall.SIGTERM)
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("exit %d", code)
	}
	b := start(t, options(dir))
	// The same id ends what it left open.
	if _, _, err := connect(t, b.Addr(), kgo.TransactionalID("x")).ProducerID(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := read(t, b.Addr(), "t"); len(got) != 0 {
		t.Fatalf("an uncommitted record is read: %v", got)
	}
}

func TestPortOfAnotherProgram(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	o := options(filepath.Join(t.TempDir(), "d"))
	o.Addr = ln.Addr().String()
	_, err = broker.Start(t.Context(), o)
	var port *broker.PortError
	if !errors.As(err, &port) || !strings.Contains(err.Error(), o.Addr) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("got %v", err)
	}
	if pid := fmt.Sprintf("(pid %d) has the port", os.Getpid()); runtime.GOOS == "linux" && !strings.Contains(err.Error(), pid) {
		t.Fatalf("got %v; want it to name %s", err, pid)
	}
	if names := list(t, o.Dir); names != "owner.json raven-broker.json" {
		t.Fatalf("it left %s", names)
	}
	start(t, options(o.Dir)) // and the directory is free again
}

func TestAddressesThatOthersCouldReachAreRefused(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:9092", "[::]:0", "nonsense"} {
		o := options(filepath.Join(t.TempDir(), "d"))
		o.Addr = addr
		if _, err := broker.Start(t.Context(), o); err == nil {
			t.Errorf("%s was accepted", addr)
		}
		if _, err := os.Stat(o.Dir); err == nil {
			t.Errorf("%s: the directory was made", addr)
		}
	}
}

func TestForeignClientsMakeTopicsByUsingThem(t *testing.T) {
	t.Parallel()
	b := start(t, options(t.TempDir()))
	produce(t, connect(t, b.Addr(), kgo.AllowAutoTopicCreation()), "fresh", "a")
	topics, err := kadm.NewClient(connect(t, b.Addr())).ListTopics(t.Context())
	if err != nil || len(topics["fresh"].Partitions) != broker.DefaultPartitions {
		t.Fatalf("topics are %v, %v", topics, err)
	}
	// A client that does not ask for it gets none.
	err = connect(t, b.Addr(), kgo.UnknownTopicRetries(0)).ProduceSync(t.Context(), &kgo.Record{Topic: "typo"}).FirstErr()
	if err == nil {
		t.Fatal("a typo made a topic")
	}
}

func TestCloseTwiceIsCloseOnce(t *testing.T) {
	b := start(t, options(t.TempDir()))
	stop(t, b)
	stop(t, b)
}

// list names the files of a folder.
func list(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}
