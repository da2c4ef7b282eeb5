package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/node"
)

type upOptions struct {
	output
	span   time.Duration
	done   bool
	id     string
	listen string
	fsync  string
	proxy  string
	snapshots
	tables tablesListener
}

func (a *app) upCommand() *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up DIR",
		Short: "Run everything in a folder: broker, services, routes, topologies",
		Long: `Runs everything that the files of a folder describe in this process: the embedded broker (or with --brokers another
cluster), the services' local processes, the routes, the topologies and the admin API.

It stops on Ctrl-C or SIGTERM: what is in work is finished within a bound, then everything stops in order. A second
signal stops at once; nothing is lost or repeated either way.

With --for it stops by itself: outside spouts first, then, when everything that was in has come out, it counts from the
topics and the databases themselves what became of every event, for each topology that declares audit, and prints it.
With --until-done it does the same once every file and other outside spout has come to its end.
Exit code 1 if an event was lost or duplicated, or a topology failed.`,
		Example: "  raven up examples/enrich\n  raven up examples/enrich --for 20s --output json\n  raven up examples/edits --until-done",
		Args:    exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			if o.id == "" {
				return usage(cmd, "run up: --id must not be empty")
			}
			return a.up(cmd.Context(), args[0], o)
		},
	}
	o.output.bind(cmd)
	cmd.Flags().DurationVar(&o.span, "for", 0, "stop by itself after so long, counted from the start of the process")
	cmd.Flags().BoolVar(&o.done, "until-done", false, "stop by itself when every outside spout has ended and everything has come out")
	cmd.Flags().StringVar(&o.id, "id", "up", "name of this process among those that run the same topologies on one cluster")
	cmd.Flags().StringVar(&o.listen, "listen", node.DefaultBroker, "address of the embedded broker; port 0 takes a free one")
	bindFsync(cmd.Flags(), &o.fsync)
	o.snapshots.bind(cmd)
	o.tables.bind(cmd.Flags())
	cmd.Flags().StringVar(&o.proxy, "proxy", "", "also serve the routes as an HTTP proxy on this address")
	return cmd
}

// nodeOptions is what all commands that run a node have in common.
func (a *app) nodeOptions(dir, id string) node.Options {
	return node.Options{
		Dir: dir, Registry: all.Components(), Data: a.global.data, Brokers: a.global.brokers, ID: id,
		Admin: a.global.admin, Started: a.Started, Output: a.Err, Log: a.log,
	}
}

func (a *app) up(ctx context.Context, dir string, o upOptions) error {
	options := a.nodeOptions(dir, o.id)
	options.Listen, options.Proxy = o.listen, o.proxy
	options.Broker.Fsync = o.fsync
	o.snapshots.apply(&options)
	options.Tables = o.tables.TablesOptions
	options.Topologies, options.Supervise, options.Whereabout = true, true, true
	n, err := a.start(ctx, options)
	if err != nil {
		return err
	}
	a.sayUp(n, o.proxy)
	a.sayFsync(o.fsync)
	ended := a.wait(ctx, n, o)
	var sum *summary
	if (o.span > 0 || o.done) && ended == nil {
		sum, err = a.finish(ctx, n, o)
	}
	if err := errors.Join(err, a.stop(n, ended)); err != nil {
		return err
	}
	if sum == nil {
		return nil
	}
	return a.printSummary(sum, o)
}

// start brings a node up; files with errors are shown as lint shows them.
func (a *app) start(ctx context.Context, o node.Options) (*node.Node, error) {
	n, err := node.Up(ctx, o)
	if wrong, ok := errors.AsType[*node.ProblemsError](err); ok {
		return nil, a.refuse(wrong.Problems)
	}
	if wrong, ok := errors.AsType[*node.OptionsError](err); ok {
		return nil, a.refuseOptions(wrong)
	}
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("start %q: interrupted before it was up", o.Dir)
	}
	return n, err
}

func (a *app) sayUp(n *node.Node, proxy string) {
	fmt.Fprintf(a.Err, "up in %s: broker %s, admin API %s\n", brief(time.Since(a.Started)), strings.Join(n.Kafka().Brokers, ","), n.Admin())
	if proxy != "" {
		fmt.Fprintf(a.Err, "routes as an HTTP proxy: http://%s\n", n.Proxy())
	}
	a.sayTables(n)
	if names := n.Topologies(); len(names) > 0 {
		fmt.Fprintf(a.Err, "running %s; look with `raven status%s` and `raven tail TOPIC`; Ctrl-C stops\n", strings.Join(names, ", "), a.dataFlag())
	}
}

// dataFlag is how the other commands find this node, if they need to be told.
func (a *app) dataFlag() string {
	if a.global.data == ".raven" {
		return ""
	}
	return " --data " + a.global.data
}

const progressEvery = 5 * time.Second

// wait shows progress until it is time to stop. The error says which part ended by itself.
func (a *app) wait(ctx context.Context, n *node.Node, o upOptions) error {
	var over <-chan time.Time
	if o.span > 0 {
		reserve := min(time.Second, o.span/4) // for draining and counting
		over = time.After(time.Until(a.Started.Add(o.span - reserve)))
	}
	tick, look := time.NewTicker(progressEvery), time.NewTicker(200*time.Millisecond)
	defer tick.Stop()
	defer look.Stop()
	services := n.ServicesReady()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-over:
			return nil
		case err := <-n.Ended():
			return err
		case <-services:
			services = nil // said once
			fmt.Fprintf(a.Err, "all service processes are ready after %s\n", brief(time.Since(a.Started)))
		case <-look.C:
			if done, err := a.isDone(ctx, n, o); done || err != nil {
				return err
			}
		case <-tick.C:
			if !o.json() {
				fmt.Fprint(a.Err, progressLine(time.Since(a.Started), n.Status()))
			}
		}
	}
}

// isDone says whether there is nothing left to do, if that is what is waited for.
func (a *app) isDone(ctx context.Context, n *node.Node, o upOptions) (bool, error) {
	if !o.done {
		return false, nil
	}
	done, err := n.Done(ctx)
	if done {
		fmt.Fprintln(a.Err, "every spout has ended and everything has come out")
	}
	if ctx.Err() != nil {
		return true, nil
	}
	return done, err
}

// stop stops the node. What ended it comes first; topologies that failed tell more than the part that ran them.
func (a *app) stop(n *node.Node, ended error) error {
	fmt.Fprintln(a.Err, "stopping")
	err := n.Stop()
	if failed := n.Failed(); failed != nil {
		ended = failed
	}
	return errors.Join(ended, err)
}

// finish drains and counts. After a signal it does so, too: whoever asked for the numbers gets them. A signal during the
// wait ends the wait.
func (a *app) finish(ctx context.Context, n *node.Node, o upOptions) (*summary, error) {
	const patience = 30 * time.Second
	if ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	if o.done {
		fmt.Fprintln(a.Err, "counting")
	} else {
		fmt.Fprintln(a.Err, "the spouts are stopped; waiting for everything to come out, then counting")
	}
	bound := max(time.Until(a.Started.Add(o.span)), 0) + patience
	audits, err := n.Drain(ctx, bound)
	if err != nil {
		return nil, err
	}
	sum := summarize(audits, n.Status(), time.Since(a.Started))
	if sum.Lost > 0 {
		sum.Unfinished, err = n.Outstanding(context.WithoutCancel(ctx))
	}
	if sum.Unfinished > 0 {
		fmt.Fprintf(a.Err, "not everything came out in time: %s of the topics are still to be worked on\n"+
			"what is counted as lost is still there: the next start goes on with it\n", plural(sum.Unfinished, "offset", "offsets"))
	}
	return sum, err
}
