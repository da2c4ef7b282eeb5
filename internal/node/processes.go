package node

import (
	"context"
	"path/filepath"

	"ravenswood.dev/internal/admin"
)

func (n *Node) startProcesses(ctx context.Context) error   { return nil }
func (n *Node) ownEndpoints() map[string]bool              { return nil }
func (n *Node) publishEndpoints(ctx context.Context) error { return nil }
func (n *Node) processes() []admin.ProcessStatus           { return nil }
func (n *Node) processesReady() error                      { return nil }

func componentStateDir(data, topology, node string) string {
	return filepath.Join(data, "state", topology, node)
}
