// Package cli is the raven command: one file per subcommand, named cmd_<verb>.go.
//
// A command reads its flags, calls one library or the admin API, and prints. stdout carries data (text, or JSON with
// --output json), stderr what is meant for people. Run may be called from several goroutines, each with streams of
// its own: nothing is kept in package variables and nothing exits the process.
//
// Exit codes are part of the contract: 0 all right, 1 the command failed or found errors, 2 it was called wrongly.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ravenswood.dev/internal/telemetry"
)

// Streams is what a command has of the process it runs in: where it reads and writes, and when the process began.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	Started  time.Time // zero is now
}

// The exit codes.
const (
	ExitOK      = 0
	ExitFailure = 1
	ExitUsage   = 2
)

// app is what all commands of one Run share.
type app struct {
	Streams
	global globals
	tables tablesAt
	log    *slog.Logger
}

// Run runs one command line, without the program's name, and returns its exit code.
func Run(ctx context.Context, args []string, streams Streams) int {
	if streams.Started.IsZero() {
		streams.Started = time.Now()
	}
	a := &app{Streams: streams}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	return a.report(root.ExecuteContext(ctx))
}

// report prints an error the way people read it and turns it into an exit code.
func (a *app) report(err error) int {
	if err == nil {
		return ExitOK
	}
	if errors.Is(err, errSilent) {
		return ExitFailure
	}
	fmt.Fprintf(a.Err, "error: %s\n", oneLine(err))
	if hint := hintFor(err); hint != "" {
		fmt.Fprintf(a.Err, "hint: %s\n", hint)
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return ExitUsage
	}
	return ExitFailure
}

// oneLine keeps joined errors on one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// root is the command tree.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "raven",
		Short: "An always-on event-stream platform in one program",
		Long: `raven takes a stream of events, enriches each by calling versioned services, and delivers each exactly once to
streams and databases. Topics, services, routes and topologies are described in files.

Begin with:   raven up examples/enrich
Then look:    raven status    and    raven tail enriched-messages

Exit codes: 0 all right, 1 the command failed or found errors, 2 it was called wrongly.`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		Args:              unknownCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.prepare() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%w", err) })
	a.global.bind(root.PersistentFlags())
	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Run:"},
		&cobra.Group{ID: groupFiles, Title: "Work on files:"},
		&cobra.Group{ID: groupWatch, Title: "Look and steer while it runs:"},
	)
	for group, commands := range map[string][]*cobra.Command{
		groupRun:   {a.upCommand(), a.brokerCommand(), a.workerCommand(), a.routerCommand()},
		groupFiles: {a.lintCommand(), a.planCommand(), a.componentsCommand(), a.schemaCommand()},
		groupWatch: {a.statusCommand(), a.tailCommand(), a.tableCommand(), a.produceCommand(), a.generateCommand(), a.routeCommand(), a.deadLettersCommand()},
		"":         {a.benchCommand(), a.doctorCommand(), a.versionCommand(), a.docsCommand(), a.exampleServiceCommand()},
	} {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	return root
}

// The groups of commands in help.
const (
	groupRun   = "run"
	groupFiles = "files"
	groupWatch = "watch"
)

func (a *app) prepare() error {
	log, err := telemetry.NewLogger(a.Err, a.global.logFormat, a.global.logLevel)
	if err != nil {
		return &usageError{err: err}
	}
	a.log = log
	return nil
}
