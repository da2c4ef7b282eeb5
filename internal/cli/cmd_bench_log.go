package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"ravenswood.dev/internal/bench"
)

type benchLogOptions struct {
	output
	bench.LogOptions
}

func (a *app) benchLogCommand() *cobra.Command {
	var o benchLogOptions
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Measure the embedded broker: writing, reading, exactly-once, latency, memory, starts",
		Long: `Measures the embedded broker in a process of its own, with fsync (group commit) and without. The references are programs
of this repository, built by make bench: --kfake names the one with a broker of test doubles, --nats the one with NATS
JetStream. Without them there are numbers but no ratios.

All of it takes about a quarter of an hour and a few gigabytes of disk; --quick takes a tenth of the time.`,
		Example: "  raven bench log --quick --output json\n  raven bench log --kfake bin/bench-kfake --nats bin/bench-nats --gigabytes 10",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			return a.benchLog(cmd.Context(), o)
		},
	}
	o.bind(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&o.Quick, "quick", false, "fewer records and rounds")
	flags.Float64Var(&o.Gigabytes, "gigabytes", 1, "how much is written while memory is watched")
	flags.StringSliceVar(&o.Parts, "parts", nil, "only these parts: throughput,exactly-once,latency,jetstream,memory")
	flags.StringVar(&o.Dir, "dir", "", "folder to make the brokers' data folder in (default: the system's for temporary files)")
	flags.StringVar(&o.Kfake, "kfake", "", "program of the reference broker")
	flags.StringVar(&o.NATS, "nats", "", "program that measures JetStream")
	flags.StringVar(&o.Profile, "cpu-profile", "", "write a CPU profile of the embedded broker without fsync to this file")
	flags.IntVar(&o.Records, "records", 0, "records of a round; 0 takes what suits their size")
	flags.IntVar(&o.Rounds, "rounds", 0, "how often everything is measured; 0 takes 5, or 3 with --quick")
	flags.DurationVar(&o.Span, "span", 0, "how long latency is measured at each rate; 0 takes 5s")
	return cmd
}

func (a *app) benchLog(ctx context.Context, o benchLogOptions) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	o.Out, o.Log, o.Self = a.Err, a.log, []string{self, "bench", "log-broker"}
	result, err := bench.Log(ctx, o.LogOptions)
	if err != nil {
		return fmt.Errorf("run benchmark %q: %w", "log", err)
	}
	if o.json() {
		return printJSONLine(a.Out, result)
	}
	return printJSON(a.Out, result)
}

// benchBrokerCommand is the other side of bench log: the broker that is measured.
func (a *app) benchBrokerCommand() *cobra.Command {
	var o bench.ServeOptions
	cmd := &cobra.Command{
		Use:    "log-broker",
		Short:  "Run the broker that bench log measures",
		Hidden: true,
		Args:   exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.ServeLog(cmd.Context(), o, os.Stdin, a.Out)
		},
	}
	cmd.Flags().StringVar(&o.Dir, "dir", "", "folder of the data")
	cmd.Flags().BoolVar(&o.Sync, "sync", false, "answer when it is on the disk")
	cmd.Flags().StringVar(&o.Profile, "cpu-profile", "", "write a CPU profile to this file")
	return cmd
}
