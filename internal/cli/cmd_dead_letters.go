package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"

	"ravenswood.dev/internal/deadletter"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/node"
	"ravenswood.dev/internal/topology"
)

func (a *app) deadLettersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "dead-letters",
		Aliases: []string{"dlq"},
		Short:   "List, show, replay and drop records that were given up on",
		Long: `Works on a topology's dead letters: records that were given up on, kept as they were with the cause, the attempts and
where they came from. Replay sends records back into the topology in the order of their keys.`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.deadLettersList(), a.deadLettersShow(), a.deadLettersReplay(), a.deadLettersDrop())
	return cmd
}

// letterOptions select letters.
type letterOptions struct {
	output
	bolt, class, key string
	since            time.Duration
	limit            int
	all, force       bool
}

func (o *letterOptions) bind(cmd *cobra.Command) {
	o.output.bind(cmd)
	cmd.Flags().StringVar(&o.bolt, "bolt", "", "only those that this bolt or sink gave up on")
	cmd.Flags().StringVar(&o.class, "class", "", "only those of this class: transient, permanent, outage")
	cmd.Flags().StringVar(&o.key, "key", "", "only records of this key")
	cmd.Flags().DurationVar(&o.since, "since", 0, "only those given up on in this last while, such as 10m")
	cmd.Flags().IntVar(&o.limit, "limit", 0, "at most so many, the oldest first; 0 is all")
}

func (o *letterOptions) selection(cmd *cobra.Command, ids []string) (deadletter.Selection, error) {
	s := deadletter.Selection{IDs: ids, Bolt: o.bolt, Class: o.class, Limit: o.limit}
	switch o.class {
	case "", "transient", "permanent", "outage":
	default:
		return s, usage(cmd, "read --class %q: want transient, permanent or outage", o.class)
	}
	if cmd.Flags().Changed("key") {
		s.Key = []byte(o.key)
	}
	if o.since > 0 {
		s.Since = time.Now().Add(-o.since)
	}
	return s, o.check(cmd)
}

func (a *app) letters(ctx context.Context, name string) (*deadletter.Store, error) {
	cfg := a.cluster()
	if _, err := kafka.Check(ctx, cfg); err != nil {
		return nil, err
	}
	dead, replay := topology.DeadLetterTopics(name)
	if err := ranHere(ctx, cfg, name, dead); err != nil {
		return nil, err
	}
	back, err := node.ReplayTopics(ctx, cfg, name)
	if err != nil {
		return nil, err
	}
	return deadletter.New(deadletter.Options{Kafka: cfg, Topology: name, Topic: dead, Replay: replay, Back: back}), nil
}

// ranHere tells a topology without dead letters from one that is misspelt.
func ranHere(ctx context.Context, cfg kafka.Config, name, topic string) error {
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		return err
	}
	defer admin.Close()
	if _, err := admin.EndOffsets(ctx, topic); errors.Is(err, kerr.UnknownTopicOrPartition) {
		return withHint(fmt.Errorf("find the dead letters of topology %q: it never ran on this cluster", name), "`raven status` lists the topologies that run")
	} else if err != nil {
		return err
	}
	return nil
}

func (a *app) deadLettersList() *cobra.Command {
	var o letterOptions
	cmd := &cobra.Command{
		Use:               "list TOPOLOGY",
		Short:             "List the dead letters that wait",
		Example:           "  raven dead-letters list enricher --bolt users --since 1h",
		Args:              exactly("TOPOLOGY"),
		ValidArgsFunction: a.completeTopologies,
		RunE: func(cmd *cobra.Command, args []string) error {
			selection, err := o.selection(cmd, nil)
			if err != nil {
				return err
			}
			if o.all {
				selection.States = []deadletter.State{deadletter.Waiting, deadletter.Replayed, deadletter.Dropped}
			}
			return a.listLetters(cmd.Context(), args[0], selection, o)
		},
	}
	o.bind(cmd)
	cmd.Flags().BoolVar(&o.all, "all", false, "also those that were replayed or dropped")
	return cmd
}

func (a *app) listLetters(ctx context.Context, name string, s deadletter.Selection, o letterOptions) error {
	store, err := a.letters(ctx, name)
	if err != nil {
		return err
	}
	letters, err := store.List(ctx, s)
	if err != nil {
		return err
	}
	if o.json() {
		return printJSON(a.Out, shownLetters(letters))
	}
	if len(letters) == 0 {
		fmt.Fprintf(a.Err, "no dead letters of %s\n", name)
		return nil
	}
	rows := [][]string{{"ID", "WHEN", "KEY", "BOLT", "TRIES", "STATE", "CAUSE"}}
	for _, l := range letters {
		rows = append(rows, []string{l.ID(), l.Last.Local().Format("01-02 15:04:05"), clip(readable(l.Key), 24), l.Bolt,
			fmt.Sprint(l.Attempts), string(l.State), clip(readable([]byte(l.Err)), 100)})
	}
	return table(a.Out, rows)
}

// clip shortens text to so many characters.
func clip(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}

// shownLetter is a dead letter in JSON.
type shownLetter struct {
	ID       string            `json:"id"`
	State    deadletter.State  `json:"state"`
	Bolt     string            `json:"bolt"`
	Input    string            `json:"input"`
	Class    string            `json:"class"`
	Cause    string            `json:"cause"`
	Attempts int               `json:"attempts"`
	First    time.Time         `json:"first"`
	Last     time.Time         `json:"last"`
	Origin   string            `json:"origin"`
	Source   string            `json:"source"`
	Key      string            `json:"key"`
	Headers  map[string]string `json:"headers,omitempty"`
	Value    any               `json:"value"`
}

func shownLetters(letters []deadletter.Letter) []shownLetter {
	shown := []shownLetter{}
	for _, l := range letters {
		shown = append(shown, showLetter(l))
	}
	return shown
}

func showLetter(l deadletter.Letter) shownLetter {
	s := shownLetter{
		ID: l.ID(), State: l.State, Bolt: l.Bolt, Input: l.Input, Class: l.Class, Cause: l.Err, Attempts: l.Attempts,
		First: l.First, Last: l.Last, Origin: l.Origin.String(), Source: l.Source.String(), Key: string(l.Key), Value: string(l.Value),
	}
	if json.Valid(l.Value) {
		s.Value = json.RawMessage(l.Value)
	}
	for _, h := range l.Headers {
		if s.Headers == nil {
			s.Headers = map[string]string{}
		}
		s.Headers[h.Key] = string(h.Value)
	}
	return s
}

func (a *app) deadLettersShow() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:               "show TOPOLOGY ID",
		Short:             "Show one dead letter with its record",
		Args:              exactly("TOPOLOGY", "ID"),
		ValidArgsFunction: a.completeTopologies,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(cmd); err != nil {
				return err
			}
			store, err := a.letters(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			letter, err := store.Get(cmd.Context(), args[1])
			if err != nil {
				return letterHint(err, args[0])
			}
			if out.json() {
				return printJSON(a.Out, showLetter(letter))
			}
			_, err = fmt.Fprint(a.Out, letterPage(paintFor(a.Out), letter))
			return err
		},
	}
	out.bind(cmd)
	return cmd
}

func letterPage(p paint, l deadletter.Letter) string {
	page := &page{paint: p}
	page.line(p.bold(p.cyan(l.ID())) + "  " + string(l.State))
	page.block("cause", []string{p.red(readable([]byte(l.Err)))})
	page.block("given up", []string{fmt.Sprintf("by %s, %s, after %s, from %s to %s", l.Bolt, l.Class,
		plural(int64(l.Attempts), "attempt", "attempts"), l.First.Local().Format(time.DateTime), l.Last.Local().Format(time.DateTime))})
	page.block("came from", []string{fmt.Sprintf("%s, by spout %s, written %s", l.Origin, l.Input, l.OriginalTime.Local().Format(time.DateTime))})
	page.block("key", []string{readable(l.Key)})
	for _, h := range l.Headers {
		page.block("header", []string{p.dim(readable([]byte(h.Key))+" ") + readable(h.Value)})
	}
	page.block("value", []string{rawLine(l.Value)})
	return page.String()
}

func letterHint(err error, name string) error {
	if _, ok := errors.AsType[*deadletter.UnknownError](err); ok {
		return withHint(err, "`raven dead-letters list %s --all` lists all", name)
	}
	if _, ok := errors.AsType[*deadletter.SettledError](err); ok {
		return withHint(err, "--force does it again")
	}
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return withHint(err, "start topology %s: it makes the topics that letters come back through", name)
	}
	return err
}

func (a *app) deadLettersReplay() *cobra.Command {
	return a.settleCommand("replay", "Send dead letters back into the topology", "replayed",
		func(ctx context.Context, s *deadletter.Store, sel deadletter.Selection, force bool) (int, error) {
			return s.Replay(ctx, sel, force)
		})
}

func (a *app) deadLettersDrop() *cobra.Command {
	return a.settleCommand("drop", "Give dead letters up for good", "dropped",
		func(ctx context.Context, s *deadletter.Store, sel deadletter.Selection, force bool) (int, error) {
			return s.Drop(ctx, sel, force)
		})
}

type settle func(ctx context.Context, s *deadletter.Store, sel deadletter.Selection, force bool) (int, error)

// settleCommand is replay or drop. Both want to be told which letters: by id, by a condition, or --all.
func (a *app) settleCommand(verb, short, done string, settle settle) *cobra.Command {
	var o letterOptions
	cmd := &cobra.Command{
		Use:               verb + " TOPOLOGY [ID...]",
		Short:             short,
		Example:           fmt.Sprintf("  raven dead-letters %[1]s enricher --bolt users\n  raven dead-letters %[1]s enricher --all", verb),
		ValidArgsFunction: a.completeTopologies,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exactly("TOPOLOGY")(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			selection, err := o.selection(cmd, args[1:])
			if err != nil {
				return err
			}
			if !o.all && len(args) == 1 && o.bolt == "" && o.class == "" && o.key == "" && o.since == 0 && o.limit == 0 {
				return usage(cmd, "%s dead letters of %q: say which, by id, by --bolt, --class, --key, --since, --limit, or --all", verb, args[0])
			}
			return a.settleLetters(cmd.Context(), args[0], selection, o, done, settle)
		},
	}
	o.bind(cmd)
	cmd.Flags().BoolVar(&o.all, "all", false, "all that wait")
	cmd.Flags().BoolVar(&o.force, "force", false, "also those that were replayed or dropped before")
	return cmd
}

func (a *app) settleLetters(ctx context.Context, name string, s deadletter.Selection, o letterOptions, done string, settle settle) error {
	store, err := a.letters(ctx, name)
	if err != nil {
		return err
	}
	n, err := settle(ctx, store, s, o.force)
	if err != nil {
		return letterHint(err, name)
	}
	if o.json() {
		return printJSONLine(a.Out, map[string]any{"topology": name, done: n})
	}
	_, err = fmt.Fprintf(a.Out, "%s %s of %s\n", done, plural(int64(n), "dead letter", "dead letters"), name)
	return err
}

// completeTopologies offers the topologies of the node.
func (a *app) completeTopologies(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, t := range a.quickStatus(cmd.Context()).Topologies {
		names = append(names, t.Topology)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
