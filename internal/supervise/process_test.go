package supervise

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test program is also the processes that it supervises: with HELPER set it behaves as one of these.
var helpers = map[string]func(){
	"serve": func() { serveUntilTold(http.StatusOK) },
	"never ready": func() {
		fmt.Println("not ready yet")
		serveUntilTold(http.StatusServiceUnavailable)
	},
	"stubborn": func() {
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("I stay")
		listen(http.StatusOK)
	},
	"crash": func() {
		fmt.Println("about to crash")
		os.Exit(3)
	},
	"crash when told": func() {
		http.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) { os.Exit(4) })
		serveUntilTold(http.StatusOK)
	},
	"parent of a child": func() {
		child := exec.Command("sleep", "60") // keeps our output open
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			panic(err)
		}
		fmt.Println("child", child.Process.Pid)
		listen(http.StatusOK)
	},
	"chatty": func() {
		fmt.Print("one\ntw")
		fmt.Print("o\r\n", strings.Repeat("x", 3*maxLine), "\nlast")
		fmt.Fprintln(os.Stderr, " and error")
		serveUntilTold(http.StatusOK)
	},
	"env": func() {
		wd, _ := os.Getwd()
		fmt.Println("dir", wd, "token", os.Getenv("TOKEN"), "args", strings.Join(os.Args[1:], " "))
		serveUntilTold(http.StatusOK)
	},
	"supervisor": func() { // for the test that kills it
		s, err := New(Options{Output: os.Stdout, Processes: []Process{{
			Service: "svc", Version: "v1", Command: []string{"raven"}, Env: map[string]string{"HELPER": "tell and serve"}}}})
		if err != nil {
			panic(err)
		}
		_ = s.Run(context.Background())
	},
	"answer": func() {
		http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"pid":%d}`, os.Getpid()) })
		serveUntilTold(http.StatusOK)
	},
	"tell and serve": func() {
		fmt.Println("pid", os.Getpid())
		serveUntilTold(http.StatusOK)
	},
}

func TestMain(m *testing.M) {
	if name := os.Getenv("HELPER"); name != "" {
		helpers[name]()
		return
	}
	os.Exit(m.Run())
}

func listen(health int) {
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(health) })
	if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// serveUntilTold serves until SIGTERM, and says so.
func serveUntilTold(health int) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	go listen(health)
	<-told
	fmt.Println("told to stop")
}

// eventually waits for a condition without which the test makes no sense.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) { // sleep: between two looks at the condition
		if time.Now().After(deadline) {
			t.Fatalf("waited 10 s for: %s", what)
		}
	}
}

// gone says whether a process has ended; one that nobody collected yet has.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "Z")
}

func lineWith(r *bufio.Reader, prefix string) (string, error) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if _, rest, ok := strings.Cut(line, prefix); ok {
			return strings.TrimSpace(rest), nil
		}
	}
}
