package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/admin"
	"ravenswood.dev/internal/router"
)

func (a *app) routeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "route",
		Short: "Show and change which version of a service answers",
		Long: `Shows and changes routes while everything runs. A change takes effect in every process on the cluster without a failed
or repeated call, and survives restarts. If the route's file is changed later, the file wins.

A call is decided in this order: switch; the first rule that matches; split; default.`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.routeShow(), a.routeSwitch(), a.routeSplit(), a.routeMatch(), a.routeMirror(), a.routeReset())
	return cmd
}

// routeEdit is what the commands that change a route have in common.
type routeEdit struct {
	output
	app  *app
	edit func(ctx context.Context, client *admin.Client, args []string) (admin.RouteChange, error)
}

func (e *routeEdit) command(cmd *cobra.Command, args ...string) *cobra.Command {
	cmd.Args = exactly(args...)
	cmd.ValidArgsFunction = e.app.completeRoutes
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return e.run(cmd, args) }
	e.bind(cmd)
	return cmd
}

func (e *routeEdit) run(cmd *cobra.Command, args []string) error {
	if err := e.check(cmd); err != nil {
		return err
	}
	change, err := e.edit(cmd.Context(), admin.NewClient(e.app.adminAddress()), args)
	if err != nil {
		return err
	}
	if e.json() {
		return printJSON(e.app.Out, change)
	}
	fmt.Fprintf(e.app.Out, "%s\n", routeText(change.After))
	fmt.Fprintf(e.app.Err, "in effect here after %.1fms; other processes on the cluster follow within milliseconds\n", change.Millis)
	return nil
}

func (a *app) routeSwitch() *cobra.Command {
	off := false
	e := &routeEdit{app: a}
	cmd := e.command(&cobra.Command{
		Use:     "switch SERVICE VERSION | switch SERVICE --off",
		Short:   "Send every call of a service to one version",
		Example: "  raven route switch svc1 v2\n  raven route switch svc1 --off",
	})
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if off {
			return exactly("SERVICE")(cmd, args)
		}
		return exactly("SERVICE", "VERSION")(cmd, args)
	}
	e.edit = func(ctx context.Context, client *admin.Client, args []string) (admin.RouteChange, error) {
		if off {
			return client.Switch(ctx, args[0], "")
		}
		return client.Switch(ctx, args[0], args[1])
	}
	cmd.Flags().BoolVar(&off, "off", false, "take the switch off: rules, split and default decide again")
	return cmd
}

func (a *app) routeSplit() *cobra.Command {
	e := &routeEdit{app: a, edit: func(ctx context.Context, client *admin.Client, args []string) (admin.RouteChange, error) {
		if args[1] == "off" {
			return client.Split(ctx, args[0], nil)
		}
		shares, err := router.ParseShares(args[1])
		if err != nil {
			return admin.RouteChange{}, &usageError{err: err, hint: "write shares as v2=10% or v2=10%,v3=5%; the rest goes to the default"}
		}
		return client.Split(ctx, args[0], shares)
	}}
	return e.command(&cobra.Command{
		Use:   "split SERVICE VERSION=PERCENT,...",
		Short: "Give versions shares of the keys",
		Long: `Gives versions shares of the keys; the rest goes to the default. The same key always gets the same version, and growing
a share only adds keys to it. "off" takes the split away.`,
		Example: "  raven route split svc3 v2=25%\n  raven route split svc3 off",
	}, "SERVICE", "VERSION=PERCENT,...")
}

func (a *app) routeMatch() *cobra.Command {
	var when []string
	name, remove := "", ""
	e := &routeEdit{app: a}
	cmd := e.command(&cobra.Command{
		Use:   "match SERVICE VERSION --when CONDITION | match SERVICE --remove NAME",
		Short: "Send calls whose event meets conditions to a version",
		Long: `Puts a rule before all others, or replaces the rule of the same --name. All conditions must hold.

Conditions:
  user.segment=gold         the field is this
  user.segment=gold|silver  the field is one of these
  userId^=test-             the field begins with this
  user.segment              the field is there
  header:x-beta=1           the same for a header
  !user.segment=gold        any of these turned round`,
		Example: "  raven route match svc2 v2 --when user.segment=gold --name gold\n  raven route match svc2 --remove gold",
	})
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if remove != "" {
			return exactly("SERVICE")(cmd, args)
		}
		return exactly("SERVICE", "VERSION")(cmd, args)
	}
	e.edit = func(ctx context.Context, client *admin.Client, args []string) (admin.RouteChange, error) {
		if remove != "" {
			return client.RemoveMatch(ctx, args[0], remove)
		}
		rule, err := ruleOf(name, args[1], when)
		if err != nil {
			return admin.RouteChange{}, &usageError{err: err, hint: "see `raven route match --help`"}
		}
		return client.AddMatch(ctx, args[0], rule)
	}
	cmd.Flags().StringArrayVar(&when, "when", nil, "a condition; give it several times for several")
	cmd.Flags().StringVar(&name, "name", "", "the rule's name, shown in status and metrics")
	cmd.Flags().StringVar(&remove, "remove", "", "take away the rule of this name or position")
	return cmd
}

func ruleOf(name, version string, when []string) (api.Rule, error) {
	rule := api.Rule{Name: name, Version: version}
	if len(when) == 0 {
		return rule, fmt.Errorf("add a rule: --when is missing")
	}
	for _, text := range when {
		m, err := router.ParseMatch(text)
		if err != nil {
			return rule, err
		}
		rule.Match = append(rule.Match, m)
	}
	return rule, nil
}

func (a *app) routeMirror() *cobra.Command {
	var ignore []string
	percent := "100%"
	e := &routeEdit{app: a}
	cmd := e.command(&cobra.Command{
		Use:   "mirror SERVICE VERSION",
		Short: "Send shadow calls to a version and compare its answers",
		Long: `Sends a copy of calls to a version. Its answers are compared with those that were used, counted, and thrown away; see
them in raven status. "off" in place of the version ends it.`,
		Example: "  raven route mirror svc1 v2 --percent 5% --ignore version\n  raven route mirror svc1 off",
	}, "SERVICE", "VERSION")
	e.edit = func(ctx context.Context, client *admin.Client, args []string) (admin.RouteChange, error) {
		if args[1] == "off" {
			return client.Mirror(ctx, args[0], nil)
		}
		m := &api.Mirror{Version: args[1], Ignore: ignore}
		if err := m.Percent.UnmarshalText([]byte(percent)); err != nil {
			return admin.RouteChange{}, &usageError{err: err}
		}
		return client.Mirror(ctx, args[0], m)
	}
	cmd.Flags().StringVar(&percent, "percent", percent, "share of the keys that are mirrored")
	cmd.Flags().StringSliceVar(&ignore, "ignore", nil, "fields of the answers that are not compared")
	return cmd
}

func (a *app) routeReset() *cobra.Command {
	e := &routeEdit{app: a, edit: func(ctx context.Context, client *admin.Client, args []string) (admin.RouteChange, error) {
		return client.Reset(ctx, args[0])
	}}
	return e.command(&cobra.Command{
		Use:     "reset SERVICE",
		Short:   "Go back to the route in the files",
		Example: "  raven route reset svc1",
	}, "SERVICE")
}

func (a *app) routeShow() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:               "show [SERVICE]",
		Short:             "Show how calls are decided now",
		Args:              atMost(1),
		ValidArgsFunction: a.completeRoutes,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(cmd); err != nil {
				return err
			}
			return a.showRoutes(cmd.Context(), args, out)
		},
	}
	out.bind(cmd)
	return cmd
}

func (a *app) showRoutes(ctx context.Context, args []string, out output) error {
	views, err := admin.NewClient(a.adminAddress()).Routes(ctx)
	if err != nil {
		return err
	}
	if len(args) == 1 {
		views = slices.DeleteFunc(views, func(v admin.RouteView) bool { return v.Service != args[0] })
		if len(views) == 0 {
			return withHint(fmt.Errorf("show route of service %q: there is no such service", args[0]), "`raven route show` lists all")
		}
	}
	if out.json() {
		return printJSON(a.Out, views)
	}
	for i, v := range views {
		if i > 0 {
			fmt.Fprintln(a.Out)
		}
		fmt.Fprintln(a.Out, routeText(v))
	}
	return nil
}

// routeText says in words how calls to a service are decided, in the order in which it is done.
func routeText(v admin.RouteView) string {
	r := v.Route
	var b strings.Builder
	fmt.Fprintf(&b, "%s: versions %s; %s", v.Service, strings.Join(v.Versions, ", "), routeSource(v))
	step := 0
	add := func(format string, args ...any) {
		step++
		fmt.Fprintf(&b, "\n  %d. %s", step, fmt.Sprintf(format, args...))
	}
	if r.Switch != "" {
		add("every call goes to %s (switch); what follows is asleep", r.Switch)
	}
	for i, rule := range r.Rules {
		add("if %s: %s%s", conditionsText(rule.Match), rule.Version, ruleLabel(i, rule))
	}
	if r.Split != nil {
		add("by %s: %s", splitKey(r.Split), sharesText(r.Split.Versions))
	}
	if step == 0 {
		add("every call goes to %s (default)", r.Default)
	} else {
		add("else %s", r.Default)
	}
	if m := r.Mirror; m != nil {
		fmt.Fprintf(&b, "\n  and %s of keys are mirrored to %s", m.Percent, m.Version)
	}
	return b.String()
}

func routeSource(v admin.RouteView) string {
	if v.Source != admin.SourceRunTime || v.Changed == nil {
		return "as in the files"
	}
	return fmt.Sprintf("changed at run time (%s, at %s)", plural(int64(v.Generation), "change", "changes"), v.Changed.Local().Format("2006-01-02 15:04:05"))
}

func ruleLabel(i int, rule api.Rule) string {
	if rule.Name == "" {
		return fmt.Sprintf(" (rule %d)", i+1)
	}
	return fmt.Sprintf(" (rule %s)", rule.Name)
}

func conditionsText(all []api.Match) string {
	var words []string
	for _, m := range all {
		words = append(words, conditionText(m))
	}
	return strings.Join(words, " and ")
}

func conditionText(m api.Match) string {
	subject := m.Field
	if m.Header != "" {
		subject = "header " + m.Header
	}
	if m.Not {
		return subject + " is not " + testText(m)
	}
	return subject + " is " + testText(m)
}

func testText(m api.Match) string {
	switch {
	case m.Equals != nil:
		return *m.Equals
	case m.In != nil:
		return "one of " + strings.Join(m.In, ", ")
	case m.Prefix != "":
		return "something that begins with " + m.Prefix
	case m.Exists != nil && *m.Exists:
		return "there"
	}
	return "missing"
}

func splitKey(s *api.Split) string {
	if s.Key == "" {
		return "the record's key"
	}
	return s.Key
}

func sharesText(shares []api.Share) string {
	var words []string
	for _, s := range shares {
		words = append(words, s.Percent.String()+" of keys to "+s.Version)
	}
	return strings.Join(words, ", ")
}

// completeRoutes offers services, then their versions.
func (a *app) completeRoutes(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), time.Second)
	defer cancel()
	views, err := admin.NewClient(a.adminAddress()).Routes(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var words []string
	for _, v := range views {
		if len(args) == 0 {
			words = append(words, v.Service)
		} else if v.Service == args[0] {
			words = v.Versions
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}
