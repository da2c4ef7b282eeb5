package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ravenswood.dev/internal/node"
)

func (a *app) workerCommand() *cobra.Command {
	var id string
	var s snapshots
	var t tablesListener
	cmd := &cobra.Command{
		Use:   "worker DIR --id ID",
		Short: "Run the topologies of a folder against a cluster that others share",
		Long: `Runs only the topologies of a folder, in one of several processes that share their partitions. It starts no broker and
no services: the cluster is that of --brokers, or of the node that has the data folder; services are reached where their
files say or where a node started them.

--id names the process among the others. It must stay the same over restarts: a restarted worker takes up what its
former self left, and shuts it out if it still runs. Workers on one machine should share --data where a sink keeps its
file there.

Workers on several machines need --tables-listen and a token, the same for all, to ask each other for tables.`,
		Example: `  raven worker examples/enrich --id w1 --brokers kafka:9092
  raven worker examples/enrich --id w1 --brokers kafka:9092 --tables-listen 0.0.0.0:19443 --tables-advertise w1.example.com:19443 \
    --tables-token-file tables.token --tables-tls-cert w1.pem --tables-tls-key w1.key`,
		Args: exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if id == "" {
				return usage(cmd, "run worker: --id is missing")
			}
			return a.worker(cmd.Context(), args[0], id, s, t)
		},
	}
	s.bind(cmd)
	t.bind(cmd.Flags())
	cmd.Flags().StringVar(&id, "id", "", "name of this process among those that run the same topologies")
	return cmd
}

func (a *app) worker(ctx context.Context, dir, id string, s snapshots, t tablesListener) error {
	options := a.nodeOptions(dir, id)
	options.Brokers, options.Topologies = a.cluster().Brokers, true
	s.apply(&options)
	options.Tables = t.TablesOptions
	return a.runUntilDone(ctx, options, "worker "+id)
}

// runUntilDone runs a node until a signal or until a part of it ends.
func (a *app) runUntilDone(ctx context.Context, options node.Options, what string) error {
	n, err := a.start(ctx, options)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Err, "%s is up in %s: broker %s, admin API %s\n", what, brief(time.Since(a.Started)), strings.Join(options.Brokers, ","), n.Admin())
	a.sayTables(n)
	if p := n.Proxy(); p != "" {
		fmt.Fprintf(a.Out, "router listens on http://%s\n", p)
	}
	var ended error
	select {
	case <-ctx.Done():
	case ended = <-n.Ended():
	}
	return a.stop(n, ended)
}
