package cli

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"

	"github.com/spf13/cobra"

	"ravenswood.dev/internal/bench"
)

type benchOptions struct {
	output
	bench.Options
	cpuProfile string
	memProfile string
}

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench NAME",
		Short: "Measure this machine: throughput, calls, cost of exactly-once, routing",
		Long: `Runs a measurement and its reference in turn, several times, and prints the medians and their ratio. Progress goes to
stderr; with --output json the last line of stdout is one JSON object. It uses an embedded broker of its own in a folder
that is removed afterwards, or the cluster of --brokers, where it makes and removes topics named bench-...

Numbers are worth something on a machine that does nothing else meanwhile; the spread says how far they are apart.`,
		Example: "  raven bench pass --output json",
		Args:    unknownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, b := range bench.All() {
		cmd.AddCommand(a.benchmarkCommand(b))
	}
	cmd.AddCommand(a.benchLogCommand(), a.benchBrokerCommand(), a.benchWorkerCommand())
	return cmd
}

func (a *app) benchmarkCommand(b bench.Benchmark) *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   b.Name,
		Short: "Measure " + b.About,
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			return a.bench(cmd.Context(), b, o)
		},
	}
	o.bind(cmd)
	cmd.Flags().IntVar(&o.Records, "records", 0, "records of a round; 0 takes what suits the measurement")
	cmd.Flags().IntVar(&o.Rounds, "rounds", 0, "how often subject and reference are measured; 0 takes what suits the measurement")
	cmd.Flags().DurationVar(&o.Span, "span", 0, "length of a part that is measured by time; 0 takes what suits the measurement")
	cmd.Flags().StringVar(&o.cpuProfile, "cpu-profile", "", "write a CPU profile of all of it to this file")
	cmd.Flags().StringVar(&o.memProfile, "mem-profile", "", "write a profile of allocations to this file")
	return cmd
}

func (a *app) bench(ctx context.Context, b bench.Benchmark, o benchOptions) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	o.Brokers, o.Out, o.Log, o.Self = a.global.brokers, a.Err, a.log, []string{self}
	stop, err := startProfile(o.cpuProfile)
	if err != nil {
		return err
	}
	result, err := b.Run(ctx, o.Options)
	if err := stop(); err != nil {
		return err
	}
	if err != nil {
		return fmt.Errorf("run benchmark %q: %w", b.Name, err)
	}
	if err := writeAllocations(o.memProfile); err != nil {
		return err
	}
	if o.json() {
		return printJSONLine(a.Out, result)
	}
	return printJSON(a.Out, result)
}

func startProfile(file string) (stop func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("write CPU profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("write CPU profile: %w", err)
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

func writeAllocations(file string) error {
	if file == "" {
		return nil
	}
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("write profile of allocations: %w", err)
	}
	defer f.Close()
	return pprof.Lookup("allocs").WriteTo(f, 0)
}
