package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"ravenswood.dev/internal/admin"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/node"
)

// errSilent ends a command with exit code 1 after it has said everything itself.
var errSilent = errors.New("said already")

// usageError is a command line that makes no sense; exit code 2.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usage makes a usageError that points to the command's help.
func usage(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...), hint: fmt.Sprintf("see `%s --help`", cmd.CommandPath())}
}

// hinted is an error with one sentence about what to do.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }

func withHint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hinted{error: err, hint: fmt.Sprintf(format, args...)}
}

// exactly is cobra.ExactArgs with a sentence of its own: names says what is wanted.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usage(cmd, "run %q: argument %s is missing", cmd.CommandPath(), names[len(args)])
		case len(args) > len(names):
			return usage(cmd, "run %q: argument %q is one too many", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}

// atMost is cobra.MaximumNArgs with a sentence of its own.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usage(cmd, "run %q: argument %q is one too many", cmd.CommandPath(), args[n])
		}
		return nil
	}
}

// unknownCommand is for commands that only have subcommands.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := usage(cmd, "run %q: there is no command %q", cmd.CommandPath(), args[0])
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	if near := manifest.Closest(args[0], names); near != "" {
		return &usageError{err: err, hint: fmt.Sprintf("did you mean `%s %s`?", cmd.CommandPath(), near)}
	}
	return err
}

// hintFor finds the outermost hint of an error.
func hintFor(err error) string {
	if h, ok := errors.AsType[*hinted](err); ok {
		return h.hint
	}
	if u, ok := errors.AsType[*usageError](err); ok {
		return u.hint
	}
	if advised, ok := errors.AsType[*node.AdvisedError](err); ok {
		return advised.Advice
	}
	if refused, ok := errors.AsType[*admin.Error](err); ok {
		return refused.Hint
	}
	if _, ok := errors.AsType[*admin.UnreachableError](err); ok {
		return "start a node with `raven up DIR`; if it runs with another data folder or address, say so with --data or --admin"
	}
	if _, ok := errors.AsType[*kafka.UnreachableError](err); ok {
		return "start one with `raven up DIR` or `raven broker`, or name one with --brokers"
	}
	return ""
}
