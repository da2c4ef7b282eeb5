package cli

import (
	"os"

	"github.com/spf13/cobra"

	"ravenswood.dev/internal/bench"
)

// benchWorkerCommand is the other side of bench restore and bench memory: the worker that is killed or weighed.
func (a *app) benchWorkerCommand() *cobra.Command {
	var o bench.WorkerOptions
	cmd := &cobra.Command{
		Use:    "state-worker",
		Short:  "Run the worker that bench restore and bench memory measure",
		Hidden: true,
		Args:   exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.ServeWorker(cmd.Context(), o, os.Stdin, a.Out)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.Brokers, "broker", nil, "the cluster")
	flags.StringVar(&o.Dir, "dir", "", "folder of the stores")
	flags.StringVar(&o.ID, "id", "", "name of the process")
	flags.StringVar(&o.Topology, "topology", "", "name of the topology")
	flags.StringVar(&o.Input, "input", "", "topic it reads")
	flags.StringVar(&o.Bolt, "bolt", "keep", "what it does: keep, count")
	flags.StringVar(&o.Snapshots, "snapshots", "", "where copies of stores are kept")
	flags.DurationVar(&o.SnapshotEvery, "snapshot-every", 0, "time between two of them")
	return cmd
}
