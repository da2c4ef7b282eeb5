package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// clusterPatience is how long a command waits for a cluster to answer at all before it says that there is none.
const clusterPatience = 5 * time.Second

// openClient makes a client of the cluster and makes sure that the cluster answers.
func (a *app) openClient(ctx context.Context, more ...kgo.Opt) (*kgo.Client, error) {
	cfg := a.cluster()
	client, err := kgo.NewClient(append(cfg.Options(), more...)...)
	if err != nil {
		return nil, fmt.Errorf("reach cluster %q: %w", strings.Join(cfg.Brokers, ","), err)
	}
	bound, cancel := context.WithTimeout(ctx, clusterPatience)
	defer cancel()
	if err := client.Ping(bound); err != nil {
		client.Close()
		return nil, withHint(fmt.Errorf("reach cluster %q: nobody answers there", strings.Join(cfg.Brokers, ",")),
			"start one with `raven up DIR` or `raven broker`, or name one with --brokers")
	}
	return client, nil
}

// completeTopics offers the names of topics to the shell.
func (a *app) completeTopics(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if a.prepare() != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), time.Second)
	defer cancel()
	client, err := a.openClient(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer client.Close()
	topics, err := kadm.NewClient(client).ListTopics(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := slices.DeleteFunc(topics.Names(), func(name string) bool { return strings.HasPrefix(name, "_") })
	return names, cobra.ShellCompDirectiveNoFileComp
}
