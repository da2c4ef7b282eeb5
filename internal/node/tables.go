package node

import (
	"context"
	"net/http"

	"ravenswood.dev/internal/admin"
	"ravenswood.dev/internal/lifecycle"
	"ravenswood.dev/internal/tables"
)

var _ admin.Asked = (*Node)(nil)

// startTables makes what answers questions about the tables of the topologies, here and in other processes.
func (n *Node) startTables(ctx context.Context) error {
	log, err := tables.OpenCluster(n.kafka)
	if err != nil {
		return err
	}
	n.tables = tables.New(tables.Options{ID: n.options.ID, Engines: n.askable, Log: log, Peers: n.peers(), Logger: n.options.Log})
	return n.group.Start(ctx, lifecycle.Part{Name: "tables", Run: func(ctx context.Context, ready func()) error {
		ready()
		<-ctx.Done()
		err := n.tables.Close()
		log.Close()
		return err
	}})
}

// askable are the topologies whose tables can be asked.
func (n *Node) askable() []tables.Engine {
	var all []tables.Engine
	for _, r := range n.topologies {
		all = append(all, r.engine)
	}
	return all
}

// Tables serves questions about tables, and takes records.
func (n *Node) Tables() http.Handler { return n.tables.Handler() }
