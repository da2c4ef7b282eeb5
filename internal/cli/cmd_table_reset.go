package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/node"
)

func (a *app) tableReset() *cobra.Command {
	var out output
	var yes, upstream bool
	cmd := &cobra.Command{
		Use:   "reset TOPOLOGY TABLE",
		Short: "Empty a table, to be filled anew",
		Long: `Empties the stores of a table's stage, so that the topology can begin anew with them: after a change by which what was kept no
longer fits, or when it is wrong. Nobody may run the topology meanwhile. It shows what it will do, and asks.

The changelogs of the stage are deleted, and the topics between stages that it reads; your own topics are not. Of these the stage
begins at the start again, as a new topology would: the results of all their records are written once more, behind those that are
there, with what is kept then. Whoever reads the results must bear that.

Records that reach the stage through a topic between stages, because a bolt gave them other keys, are gone there. With
--upstream the stages that wrote them are reset too and begin again as well, with all they write. Without it only what is still to
come is counted.

If no process has the data folder open and no cluster is named, the embedded broker is started for as long as it takes.
A reset that was interrupted is finished by the same command; until then the topology does not start.`,
		Example:           "  raven table reset shop totals\n  raven table reset shop totals --upstream --yes",
		Args:              exactly("TOPOLOGY", "TABLE"),
		ValidArgsFunction: a.completeTables,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(cmd); err != nil {
				return err
			}
			o := node.ResetOptions{Data: a.global.data, Topology: args[0], Table: args[1], Upstream: upstream}
			return a.withCluster(cmd.Context(), func(cfg kafka.Config) error {
				o.Kafka = cfg
				return a.resetTable(cmd.Context(), o, out, yes)
			})
		},
	}
	out.bind(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&upstream, "upstream", false, "also reset the stages through which the records come")
	return cmd
}

func (a *app) resetTable(ctx context.Context, o node.ResetOptions, out output, yes bool) error {
	r, err := node.PlanReset(ctx, o)
	if unknown, ok := errors.AsType[*node.NoTableError](err); ok {
		return noTableHint(unknown)
	}
	if err != nil {
		return err
	}
	fmt.Fprint(a.Err, resetPage(paintFor(a.Err), r))
	if !yes {
		if err := a.confirm(); err != nil {
			return err
		}
	}
	if err := r.Run(ctx, o.Kafka); err != nil {
		return err
	}
	if out.json() {
		return printJSON(a.Out, r)
	}
	_, err = fmt.Fprintf(a.Out, "emptied %s of topology %s\n", strings.Join(r.Stores, ", "), r.Topology)
	return err
}

func noTableHint(e *node.NoTableError) error {
	if len(e.Known) == 0 {
		return withHint(e, "no topology of this name kept anything on this cluster")
	}
	return withHint(e, "it keeps %s", strings.Join(e.Known, ", "))
}

// confirm asks the person at the terminal.
func (a *app) confirm() error {
	fmt.Fprint(a.Err, "go on? [y/N] ")
	line, err := bufio.NewReader(a.In).ReadString('\n')
	if err != nil && line == "" {
		fmt.Fprintln(a.Err)
		return withHint(errors.New("ask whether to go on: nobody answers"), "--yes does not ask")
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was changed")
}

// resetPage says what a reset does.
func resetPage(p paint, r *node.Reset) string {
	page := &page{paint: p}
	page.line("reset of " + p.bold(r.Topology))
	page.block("empties", r.Stores)
	if len(r.Stages) == 0 {
		page.block("", []string{"no bolt keeps it any more"})
	}
	page.block("deletes", resetTopics(r.Topics))
	page.block("removes", r.Folders)
	page.block("reads again", resetInputs(r.Inputs))
	if len(r.Inputs) > 0 {
		page.block("results to", r.Outputs)
	}
	for _, topic := range r.Moved {
		page.line(p.yellow("what came through " + topic + " before is not counted again; --upstream lets it come again"))
	}
	if len(r.Inputs) > 0 {
		page.line(p.yellow("results of records that are read again are written a second time, behind those that are there"))
	}
	return page.String()
}

func resetTopics(topics []node.ResetTopic) (lines []string) {
	for _, t := range topics {
		line := "topic " + t.Name
		if t.Waiting > 0 {
			line += ", with " + plural(t.Waiting, "record", "records") + " that nobody has read yet"
		}
		lines = append(lines, line)
	}
	return lines
}

func resetInputs(inputs []node.ResetInput) (lines []string) {
	for _, in := range inputs {
		line := "topic " + in.Topic + " at its start, " + plural(in.Records, "record", "records") + " a second time"
		if in.Latest {
			line = "topic " + in.Topic + " at its end, as its spout says"
		}
		lines = append(lines, line)
	}
	return lines
}

// withCluster runs work on the cluster that is named or runs, else on the embedded broker of the data folder, which it
// starts for that long.
func (a *app) withCluster(ctx context.Context, work func(kafka.Config) error) error {
	if !a.isMeant() && a.hasLog() {
		return a.withBroker(ctx, work)
	}
	cfg := a.cluster()
	_, err := kafka.Check(ctx, cfg)
	if _, nobody := errors.AsType[*kafka.UnreachableError](err); nobody && len(a.global.brokers) == 0 && a.hasLog() {
		return a.withBroker(ctx, work)
	}
	if err != nil {
		return err
	}
	return work(cfg)
}

func (a *app) withBroker(ctx context.Context, work func(kafka.Config) error) error {
	b, err := node.StartBroker(ctx, node.Options{Data: a.global.data, Listen: "127.0.0.1:0", Log: a.log})
	if err != nil {
		return err
	}
	cfg := a.cluster()
	cfg.Brokers = []string{b.Addr()}
	return errors.Join(work(cfg), b.Close())
}

// isMeant says that the cluster was named, or is that of the process that has the data folder: another one that happens to
// listen at the usual address is not to be changed.
func (a *app) isMeant() bool {
	return len(a.global.brokers) > 0 || len(node.ReadWhereabouts(a.global.data).Brokers) > 0
}

// hasLog says whether there is a log of the embedded broker.
func (a *app) hasLog() bool {
	info, err := os.Stat(filepath.Join(a.global.data, "log"))
	return err == nil && info.IsDir()
}
