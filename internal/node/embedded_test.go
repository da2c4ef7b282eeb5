package node_test

import (
	"sync/atomic"
	"testing"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/broker/disk"
	"ravenswood.dev/internal/node"
)

// counted says how often files were opened.
type counted struct {
	disk.FS
	opened *atomic.Int64
}

func (c counted) Open(name string, mode disk.Mode) (disk.File, error) {
	c.opened.Add(1)
	return c.FS.Open(name, mode)
}

// TestCrashTestsMayWrapTheFiles: the loss of power of test/crash rests on this; without it, it would lose nothing.
func TestCrashTestsMayWrapTheFiles(t *testing.T) {
	var opened atomic.Int64
	b, err := node.StartBroker(t.Context(), node.Options{
		Data: t.TempDir(), Listen: "127.0.0.1:0",
		Embedded: func(o *broker.Options) {
			o.Files = func(files disk.FS) disk.FS { return counted{files, &opened} }
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if opened.Load() == 0 {
		t.Error("the broker opened its files without the wrapper")
	}
}
