package proof

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// What a process can be told to do to itself when it gets to a step.
const (
	StopAt = "stop" // SIGSTOP, said before on stdout as Stops
	KillAt = "kill" // SIGKILL

	Stops = "stops"
)

// Order is what AtStep reads: at the how many-th time of a step.
func Order(verb, step string, count int) string { return fmt.Sprintf("%s:%s:%d", verb, step, count) }

// AtStep makes the function that a process calls at each of its steps out of an order; nil without one. It is for one
// goroutine.
func AtStep(order string) (func(step string), error) {
	if order == "" {
		return nil, nil
	}
	verb, rest, _ := strings.Cut(order, ":")
	step, number, _ := strings.Cut(rest, ":")
	left, err := strconv.Atoi(number)
	if err != nil || verb != StopAt && verb != KillAt {
		return nil, fmt.Errorf("read order %q: want VERB:STEP:COUNT", order)
	}
	return func(reached string) {
		if reached != step {
			return
		}
		if left--; left == 0 {
			obey(verb)
		}
	}, nil
}

// obey returns from a stop when somebody else lets the process go on, and never from a kill.
func obey(verb string) {
	if verb == StopAt {
		fmt.Println(Stops)
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) // oneself can always be told
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
