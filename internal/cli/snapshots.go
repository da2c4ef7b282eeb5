package cli

import (
	"time"

	"github.com/spf13/cobra"

	"ravenswood.dev/internal/node"
)

// snapshots are the flags of commands that run topologies with state.
type snapshots struct {
	url   string
	every time.Duration
}

func (s *snapshots) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.url, "snapshots", "", "keep copies of stores here for machines that are new: a folder that all processes share, or s3://bucket/prefix?region=...")
	cmd.Flags().DurationVar(&s.every, "snapshot-every", 10*time.Minute, "time between two copies of a store that changes")
}

func (s *snapshots) apply(o *node.Options) { o.Snapshots, o.SnapshotEvery = s.url, s.every }
