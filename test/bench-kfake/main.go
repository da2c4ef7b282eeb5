// Command bench-kfake is the reference broker of `raven bench log`: kfake on a folder, in a process of its own, so that
// production code does not carry it.
//
// It prints one line of JSON with its address when it serves, and ends when its input does.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/twmb/franz-go/pkg/kfake"
)

func main() {
	dir := flag.String("dir", "", "folder of the log")
	sync := flag.Bool("sync", false, "sync every batch to the disk")
	flag.Parse()
	if err := serve(*dir, *sync, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func serve(dir string, sync bool, in io.Reader, out io.Writer) error {
	opts := []kfake.Opt{kfake.NumBrokers(1), kfake.DataDir(dir)}
	if sync {
		opts = append(opts, kfake.SyncWrites())
	}
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		return fmt.Errorf("start kfake in %q: %w", dir, err)
	}
	defer c.Close()
	if err := json.NewEncoder(out).Encode(map[string]string{"address": c.ListenAddrs()[0]}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in) // until whoever started us is gone
	return err
}
