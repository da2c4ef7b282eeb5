// Command golang runs the steps with Go clients that are not ours. Usage: golang NAME BOOTSTRAP PREFIX; one JSON object per
// step on stdout.
//
// It is a module of its own, so that what these clients need does not become a dependency of the product. One step runs at a
// time; one that hangs is given up, and what it left open ends with the process.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"time"
)

const stepBound = 30 * time.Second

// steps reports what a client can do.
type steps struct {
	bootstrap string
	prefix    string
	out       *json.Encoder
}

// line is what the harness reads.
type line struct {
	Version string `json:"version,omitempty"`
	Step    string `json:"step,omitempty"`
	OK      bool   `json:"ok"`
	Detail  string `json:"detail"`
	Millis  int64  `json:"millis"`
	End     bool   `json:"end,omitempty"`
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: golang NAME BOOTSTRAP PREFIX")
		os.Exit(2)
	}
	s := &steps{bootstrap: os.Args[2], prefix: os.Args[3], out: json.NewEncoder(os.Stdout)}
	switch os.Args[1] {
	case "sarama":
		s.say(line{Version: version("github.com/IBM/sarama")})
		runSarama(s)
	case "kafka-go":
		s.say(line{Version: version("github.com/segmentio/kafka-go")})
		runKafkaGo(s)
	default:
		fmt.Fprintf(os.Stderr, "no client %q\n", os.Args[1])
		os.Exit(2)
	}
	s.say(line{End: true})
}

// version is what this program was built with.
func version(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, d := range info.Deps {
		if d.Path == module {
			return d.Version
		}
	}
	return "unknown"
}

func (s *steps) say(l line) { _ = s.out.Encode(l) } // no harness, no report

// named is a name that only this run uses.
func (s *steps) named(name string) string { return s.prefix + "-" + name }

func (s *steps) step(name string, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), stepBound)
	defer cancel()
	began := time.Now()
	result := make(chan error, 1)
	go func() { result <- do(ctx) }()
	var err error
	select {
	case err = <-result:
	case <-ctx.Done():
		err = ctx.Err()
	}
	l := line{Step: name, OK: err == nil, Millis: time.Since(began).Milliseconds()}
	if err != nil {
		l.Detail = err.Error()
	}
	s.say(l)
}

// until waits for a condition by asking again.
func until(ctx context.Context, what string, condition func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s", what)
		}
	}
	return nil
}
