package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/node"
	"ravenswood.dev/internal/topology"
)

func (a *app) planCommand() *cobra.Command {
	var out output
	var since string
	cmd := &cobra.Command{
		Use:   "plan DIR",
		Short: "Show what running a folder would create, change and start",
		Long: `Shows what running the files of a folder would do: topics created or changed, consumer groups, services, routes and
topologies. It looks at the cluster if one answers, else it plans for an empty one. With --since it compares with another
version of the files instead, as if that had run. Nothing is changed.

Of a topology that keeps state it shows the stages, and of each store whether it stays, is read anew from its changelog and
about how long that takes, or would go on with what another store left, which is refused.

Exit code 1 if the files have errors, a topic exists in a way that must not be changed, or a store is not what is there.`,
		Example: "  raven plan examples/enrich\n  raven plan . --brokers kafka:9092 --output json\n  raven plan new/shop --since old/shop",
		Args:    exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(cmd); err != nil {
				return err
			}
			return a.plan(cmd.Context(), args[0], since, out)
		},
	}
	out.bind(cmd)
	cmd.Flags().StringVar(&since, "since", "", "`folder` with the version to compare with, instead of a cluster")
	return cmd
}

func (a *app) plan(ctx context.Context, dir, since string, out output) error {
	set, plans, problems := read(dir)
	if manifest.HasErrors(problems) {
		return a.refuse(problems)
	}
	seen, err := a.before(ctx, since)
	if err != nil {
		return err
	}
	changes := topology.Diff(plans, set, seen)
	if out.json() {
		err = printJSON(a.Out, changes)
	} else {
		err = printPlan(a.Out, changes)
	}
	if err == nil && len(changes.Conflicts())+len(changes.Foreign()) > 0 {
		return errSilent
	}
	return err
}

// refuse prints the problems of files that were to be run, for people, and ends the command.
func (a *app) refuse(problems []manifest.Problem) error {
	if err := manifest.WriteText(a.Err, problems); err != nil {
		return err
	}
	n, _ := countProblems(problems)
	return withHint(fmt.Errorf("read the files: %s, nothing was started", plural(n, "error", "errors")), "`raven lint DIR` shows the same")
}

// before is what the plan is compared with: a cluster, or the files of another version as if they had run.
func (a *app) before(ctx context.Context, since string) (topology.Observed, error) {
	if since == "" {
		return a.observe(ctx)
	}
	set, plans, problems := read(since)
	if manifest.HasErrors(problems) {
		return topology.Observed{}, a.refuse(problems)
	}
	fmt.Fprintf(a.Err, "compared with the files in %s\n", since)
	return topology.AsIfRun(plans, set), nil
}

// observe asks the cluster what it has. That nobody answers is an error only for a cluster that was asked for.
func (a *app) observe(ctx context.Context) (topology.Observed, error) {
	cfg := a.cluster()
	if _, err := kafka.Check(ctx, cfg); err != nil {
		if _, nobody := errors.AsType[*kafka.UnreachableError](err); nobody && len(a.global.brokers) == 0 {
			fmt.Fprintln(a.Err, "no cluster answers: this is the plan for an empty one")
			return topology.Observed{}, nil
		}
		return topology.Observed{}, err
	}
	fmt.Fprintf(a.Err, "compared with the cluster at %s\n", strings.Join(cfg.Brokers, ","))
	return node.Observe(ctx, cfg)
}

func printPlan(w io.Writer, c topology.Changes) error {
	sections := []struct {
		title string
		rows  [][]string
	}{
		{"Topics", topicRows(c.Topics)}, {"Consumer groups", groupRows(c.Groups)}, {"Stores", storeRows(c.Stores)},
		{"Services", versionRows(c.Services)}, {"Routes", routeRows(c.Routes)}, {"Topologies", topologyRows(c.Topologies)},
	}
	for i, s := range sections {
		if len(s.rows) == 0 {
			continue
		}
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, s.title)
		if err := table(w, s.rows); err != nil {
			return err
		}
	}
	return nil
}

func topicRows(topics []topology.TopicChange) (rows [][]string) {
	for _, t := range topics {
		what := plural(int64(t.Partitions), "partition", "partitions")
		if t.Internal {
			what += ", internal"
		}
		for _, s := range t.Config {
			what += fmt.Sprintf(", %s: %s -> %s", s.Key, s.From, s.To)
		}
		if t.Message != "" {
			what = t.Message
		}
		if t.Hint != "" {
			what += "; " + t.Hint
		}
		rows = append(rows, []string{"  " + string(t.Action), t.Name, what})
	}
	return rows
}

func groupRows(groups []topology.GroupChange) (rows [][]string) {
	for _, g := range groups {
		rows = append(rows, []string{"  " + string(g.Action), g.Name, strings.TrimSpace(g.Topology + " " + g.Member + " " + strings.ToLower(g.State))})
	}
	return rows
}

func storeRows(stores []topology.StoreChange) (rows [][]string) {
	for _, s := range stores {
		what := s.Describe()
		if s.Hint != "" {
			what += "; " + s.Hint
		}
		rows = append(rows, []string{"  " + string(s.Action), s.Topology + " " + s.Name, what})
	}
	return rows
}

func versionRows(versions []topology.VersionChange) (rows [][]string) {
	for _, v := range versions {
		where := strings.Join(v.URLs, ", ")
		if len(v.Command) > 0 {
			where = strings.Join(v.Command, " ")
		}
		rows = append(rows, []string{"  " + string(v.Action), v.Service + " " + v.Version, where})
	}
	return rows
}

func routeRows(routes []topology.RouteChange) (rows [][]string) {
	for _, r := range routes {
		rows = append(rows, []string{"  " + r.Service, r.Summary})
	}
	return rows
}

func topologyRows(topologies []topology.TopologyChange) (rows [][]string) {
	for _, t := range topologies {
		rows = append(rows, []string{"  " + string(t.Action) + " " + t.Name, fmt.Sprintf("%s, %s", t.Delivery, plural(int64(t.Workers), "worker", "workers"))})
		for _, s := range t.Steps {
			next := ""
			if len(s.Next) > 0 {
				next = "-> " + strings.Join(s.Next, ", ")
			}
			rows = append(rows, []string{"    " + s.Name, s.What, next})
		}
		for _, s := range t.Stages {
			rows = append(rows, []string{"    stage " + s.Name, s.Describe()})
		}
	}
	return rows
}
