package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"strings"

	"ravenswood.dev/internal/node"
)

// ServeOptions say how ServeLog runs a broker.
type ServeOptions struct {
	Dir     string
	Sync    bool
	Profile string // a CPU profile is written to this file; empty writes none
}

// askHeap is the line that asks a broker for its heap.
const askHeap = "heap"

// processHeap is what a process says about its heap, in MB.
type processHeap struct {
	Live  float64 `json:"live"`  // after a collection
	Total float64 `json:"total"` // that the runtime took from the system
}

// ServeLog runs our broker for Log, as a process of its own: it says where it listens, answers questions about its heap, and
// ends with its input.
func ServeLog(ctx context.Context, o ServeOptions, in io.Reader, out io.Writer) (err error) {
	stop, err := profile(o.Profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	fsync := node.FsyncOff
	if o.Sync {
		fsync = node.FsyncGroup
	}
	b, err := node.StartBroker(ctx, node.Options{Data: o.Dir, Listen: "127.0.0.1:0", Broker: node.BrokerOptions{Fsync: fsync}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	say := json.NewEncoder(out)
	if err := say.Encode(map[string]string{"address": b.Addr()}); err != nil {
		return err
	}
	for questions := bufio.NewScanner(in); questions.Scan(); {
		if strings.TrimSpace(questions.Text()) == askHeap {
			if err := say.Encode(heapNow()); err != nil {
				return err
			}
		}
	}
	return nil
}

func heapNow() processHeap {
	runtime.GC()
	read := []metrics.Sample{{Name: liveBytes}, {Name: "/memory/classes/total:bytes"}}
	metrics.Read(read)
	return processHeap{Live: round(float64(read[0].Value.Uint64())/megabyte, 1), Total: round(float64(read[1].Value.Uint64())/megabyte, 1)}
}

func profile(file string) (stop func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}
