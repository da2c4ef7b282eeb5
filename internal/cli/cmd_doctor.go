package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ravenswood.dev/internal/node"
)

func (a *app) doctorCommand() *cobra.Command {
	var out output
	repair := ""
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine the files of the embedded broker, and repair a partition",
		Long: `Reads everything that the embedded broker has stored in the data folder, while it does not run: every batch is compared
with its checksum and its neighbours, every sidecar with its segment, and the journal. It prints what it found, what that
means and what to do, and changes nothing.

With --repair it moves the damaged bytes of one partition into files of their own next to the segment, named
...damaged-POSITION, and makes the partition readable again. It says which offsets are lost.

Exit code 0 if nothing is damaged (notes are allowed), else 1.`,
		Example: "  raven doctor\n  raven doctor --repair orders/0",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(cmd); err != nil {
				return err
			}
			if !cmd.Flags().Changed("repair") {
				return a.examine(cmd.Context(), out)
			}
			topic, index, err := partitionName(cmd, repair)
			if err != nil {
				return err
			}
			return a.repair(cmd.Context(), topic, index, out)
		},
	}
	out.bind(cmd)
	cmd.Flags().StringVar(&repair, "repair", "", "repair this partition, written TOPIC/PARTITION")
	return cmd
}

func partitionName(cmd *cobra.Command, name string) (topic string, index int32, err error) {
	topic, number, found := strings.Cut(name, "/")
	n, err := strconv.ParseUint(number, 10, 31)
	if !found || topic == "" || err != nil {
		return "", 0, usage(cmd, "read --repair %q: want TOPIC/PARTITION, such as orders/0", name)
	}
	return topic, int32(n), nil
}

func (a *app) examine(ctx context.Context, out output) error {
	report, err := node.Examine(ctx, a.global.data, a.examined())
	if err != nil {
		return err
	}
	if out.json() {
		err = printJSON(a.Out, report)
	} else {
		err = a.printFindings(report.Findings)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Err, "%s, %s, %s, %s: ", plural(int64(report.Partitions), "partition", "partitions"),
		plural(int64(report.Segments), "segment", "segments"), plural(report.Batches, "batch", "batches"), plural(report.Bytes, "byte", "bytes"))
	if n := report.Damaged(); n > 0 {
		fmt.Fprintf(a.Err, "%s damaged\n", plural(int64(n), "place is", "places are"))
		return errSilent
	}
	fmt.Fprintln(a.Err, "nothing is damaged")
	return nil
}

// examined says now and then how far it is, for people who wait.
func (a *app) examined() func(done, total int64) {
	const every = 5 * time.Second
	said := time.Now()
	return func(done, total int64) {
		if now := time.Now(); now.Sub(said) >= every && total > 0 {
			said = now
			fmt.Fprintf(a.Err, "%3d%% of %d MB\n", 100*done/total, total>>20)
		}
	}
}

func (a *app) printFindings(findings []node.Finding) error {
	p := paintFor(a.Out)
	for _, f := range findings {
		where := f.File
		if f.Offset >= 0 {
			where = fmt.Sprintf("%s, byte %d, offset %d", f.File, f.Position, f.Offset)
		}
		severity := p.bold(string(f.Severity))
		if f.Severity != node.SeverityNote {
			severity = p.yellow(string(f.Severity))
		}
		if _, err := fmt.Fprintf(a.Out, "%s: %s: %s\n  %s\n  %s\n", severity, where, f.What, f.Meaning, f.Advice); err != nil {
			return err
		}
	}
	return nil
}

// repaired is what a repair did, in JSON.
type repaired struct {
	Topic     string          `json:"topic"`
	Partition int32           `json:"partition"`
	Repaired  []node.Repaired `json:"repaired"`
}

func (a *app) repair(ctx context.Context, topic string, index int32, out output) error {
	done, err := node.Repair(ctx, a.global.data, topic, index)
	if err != nil {
		return err
	}
	if out.json() {
		return printJSON(a.Out, repaired{Topic: topic, Partition: index, Repaired: append([]node.Repaired{}, done...)})
	}
	if len(done) == 0 {
		fmt.Fprintf(a.Err, "%s/%d is not damaged, nothing was changed\n", topic, index)
		return nil
	}
	for _, r := range done {
		if _, err := fmt.Fprintf(a.Out, "repaired %s: %s\n", r.File, lostOffsets(r)); err != nil {
			return err
		}
		for _, aside := range r.Aside {
			if _, err := fmt.Fprintf(a.Out, "  moved aside: %s\n", aside); err != nil {
				return err
			}
		}
	}
	return nil
}

func lostOffsets(r node.Repaired) string {
	if len(r.Lost) == 0 {
		return "nothing is lost"
	}
	var all []string
	for _, l := range r.Lost {
		all = append(all, l.String())
	}
	return "lost: " + strings.Join(all, ", ")
}
